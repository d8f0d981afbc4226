package store

import "time"

// TokenLife is how long a client token is remembered. Amazon does not say how
// long it does; a day outlasts every client's retries.
const TokenLife = 24 * time.Hour

// Token is a request that a client may repeat with the same effect as once.
type Token struct {
	Account   string
	Region    string
	Operation string
	Token     string
	Digest    string // of the request's parameters
	Response  []byte // what was answered, JSON
	Created   time.Time
}

var (
	selectToken = define(`SELECT digest, response, created FROM client_token WHERE account = ? AND region = ? AND operation = ? AND token = ?`)
	insertToken = define(`INSERT INTO client_token (account, region, operation, token, digest, response, created) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, region, operation, token) DO UPDATE SET digest = excluded.digest, response = excluded.response, created = excluded.created`)
	oldestTokens = define(`SELECT account, region, operation, token FROM client_token WHERE created < ? ORDER BY created LIMIT ? + 0`)
	deleteToken  = define(`DELETE FROM client_token WHERE account = ? AND region = ? AND operation = ? AND token = ?`)
)

// Token gives what was answered to a token; nothing if it is unknown or older
// than TokenLife at now.
func (tx *Tx) Token(account, region, operation, token string, now time.Time) (Token, bool, error) {
	scan := func(r row) (t Token, err error) {
		var created int64
		err = r.Scan(&t.Digest, &t.Response, &created)
		t.Account, t.Region, t.Operation, t.Token, t.Created = account, region, operation, token, fromMillis(created)
		return t, err
	}
	t, ok, err := one(tx, "looking for a client token", selectToken, scan, account, region, operation, token)
	if ok && !now.Before(t.Created.Add(TokenLife)) {
		return Token{}, false, err
	}
	return t, ok, err
}

// forgetEvery is how many calls of PutToken lie between two that forget: looking
// costs as much as keeping.
const forgetEvery = 32

// PutToken remembers a token. One call in forgetEvery also forgets twice as many
// that are over age, so that their number follows the requests of a day and no
// one has to clean up.
func (tx *Tx) PutToken(t Token) error {
	if err := tx.later(insertToken, t.Account, t.Region, t.Operation, t.Token, t.Digest, t.Response, millis(t.Created)); err != nil {
		return failed("keeping a client token", err)
	}
	if tx.store.tokens.Add(1)%forgetEvery != 1 {
		return nil
	}
	scan := func(r row) (t Token, err error) { return t, r.Scan(&t.Account, &t.Region, &t.Operation, &t.Token) }
	old, err := many(tx, "looking for old client tokens", oldestTokens, scan, millis(t.Created.Add(-TokenLife)), 2*forgetEvery)
	if err != nil {
		return err
	}
	for _, o := range old {
		if err := tx.later(deleteToken, o.Account, o.Region, o.Operation, o.Token); err != nil {
			return failed("forgetting a client token", err)
		}
	}
	return nil
}

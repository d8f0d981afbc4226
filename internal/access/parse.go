package access

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// MaxDocument is the most bytes that a policy document may have: 30,000
// characters, the most that the API lets through, of up to four bytes each.
const MaxDocument = 120_000

// Parse reads a policy document. Its errors name the element and the reason,
// and are fit for whoever wrote the document. What IAM would take but this
// language does not know is refused, never passed over.
func Parse(kind Kind, document string) (*Policy, error) {
	if len(document) > MaxDocument {
		return nil, fmt.Errorf("it is longer than %d bytes", MaxDocument)
	}
	if !utf8.ValidString(document) {
		return nil, errors.New("it is not valid UTF-8")
	}
	root, err := readJSON(document)
	if err != nil {
		return nil, err
	}
	if root.fields == nil {
		return nil, errors.New("it must be a JSON object")
	}
	variables := false
	var statements []node
	for _, f := range root.fields {
		switch f.name {
		case "Version":
			if f.text == nil || *f.text != "2012-10-17" && *f.text != "2008-10-17" {
				return nil, malformed(`Version: it must be "2012-10-17" or "2008-10-17"`)
			}
			variables = *f.text == "2012-10-17"
		case "Id":
			if f.text == nil {
				return nil, malformed("Id: it must be a string")
			}
		case "Statement":
			statements = f.items
			if f.fields != nil {
				statements = []node{f.node}
			}
		default:
			return nil, fmt.Errorf("%q is not an element of a policy", fault.Clip(f.name))
		}
	}
	if len(statements) == 0 {
		return nil, malformed("Statement: there must be at least one")
	}
	p := &Policy{}
	sids := map[string]bool{}
	for i, n := range statements {
		s, sid, err := parseStatement(kind, n, variables)
		if err == nil && sid != "" && sids[sid] {
			err = malformed("Sid: %q is there twice", fault.Clip(sid))
		}
		if err != nil {
			return nil, malformed("Statement[%d]: %w", i, err)
		}
		sids[sid] = true
		p.statements = append(p.statements, s)
	}
	return p, nil
}

var sidForm = regexp.MustCompile(`^[A-Za-z0-9 ]*$`)

// parseStatement reads one statement and gives its Sid.
func parseStatement(kind Kind, n node, variables bool) (s statement, sid string, err error) {
	if n.fields == nil {
		return s, "", errors.New("it must be a JSON object")
	}
	effect := ""
	for _, f := range n.fields {
		switch f.name {
		case "Sid":
			if f.text == nil || kind == IdentityBased && !sidForm.MatchString(*f.text) {
				return s, "", malformed("Sid: it must be a string of letters and digits")
			}
			sid = *f.text
		case "Effect":
			if f.text != nil {
				effect = *f.text
			}
			if effect != "Allow" && effect != "Deny" {
				return s, "", malformed(`Effect: it must be "Allow" or "Deny"`)
			}
		case "Action", "NotAction":
			if s.actions != nil {
				return s, "", errors.New("there can be only one of Action and NotAction")
			}
			s.notAction = f.name == "NotAction"
			s.actions, err = parseActions(kind, f.node)
		case "Resource", "NotResource":
			if s.resources != nil {
				return s, "", errors.New("there can be only one of Resource and NotResource")
			}
			s.notResource = f.name == "NotResource"
			s.resources, err = parseResources(f.node, variables)
		case "Principal", "NotPrincipal":
			if s.principals != nil {
				return s, "", errors.New("there can be only one of Principal and NotPrincipal")
			}
			s.notPrincipal = f.name == "NotPrincipal"
			s.principals, err = parsePrincipals(f.node)
		case "Condition":
			s.conditions, err = parseConditions(f.node, variables)
		default:
			return s, "", fmt.Errorf("%q is not an element of a statement", fault.Clip(f.name))
		}
		if err != nil {
			return s, "", fmt.Errorf("%s: %w", f.name, err)
		}
	}
	s.deny = effect == "Deny"
	return s, sid, s.complete(kind, effect)
}

// complete checks that a statement has what policies of its kind must have.
func (s *statement) complete(kind Kind, effect string) error {
	switch {
	case effect == "":
		return malformed("Effect is missing")
	case s.actions == nil:
		return malformed("Action is missing")
	case kind == IdentityBased && s.principals != nil:
		return errors.New("policies of users and roles have no Principal")
	case kind != IdentityBased && s.principals == nil:
		return errors.New("Principal is missing")
	case kind == Trust && s.resources != nil:
		return errors.New("trust policies have no Resource")
	case kind != Trust && s.resources == nil:
		return errors.New("Resource is missing")
	case s.notPrincipal && effect == "Allow":
		return errors.New("NotPrincipal can only be used with the effect Deny")
	}
	return nil
}

var actionForm = regexp.MustCompile(`^(?:\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$`)

func parseActions(kind Kind, n node) ([]pattern, error) {
	texts, err := n.strings()
	if err != nil {
		return nil, err
	}
	var all []pattern
	for _, text := range texts {
		if !actionForm.MatchString(text) {
			return nil, fmt.Errorf(`%q is not an action: it must be "*" or "service:Action"`, fault.Clip(text))
		}
		if kind == Trust && text != "*" && !strings.HasPrefix(lower(text), "sts:") {
			return nil, fmt.Errorf("%q is not an action of a trust policy, which speaks of sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity", fault.Clip(text))
		}
		p, _ := compile(lower(text), syntax{wildcards: true})
		all = append(all, p)
	}
	return all, nil
}

func parseResources(n node, variables bool) ([]arnPattern, error) {
	texts, err := n.strings()
	if err != nil {
		return nil, err
	}
	var all []arnPattern
	for _, text := range texts {
		a, ok := compileARN(text, variables)
		if !ok {
			return nil, fmt.Errorf(`%q is not a resource: it must be "*" or an ARN of six parts, arn:partition:service:region:account:resource, in which "*", "?" and ${variables} may stand`, fault.Clip(text))
		}
		all = append(all, a)
	}
	return all, nil
}

var (
	accountForm   = regexp.MustCompile(`^[0-9]{12}$`)
	principalARN  = regexp.MustCompile(`^arn:(aws[a-z-]*):(iam|sts)::([0-9]{12}):(root|user/[\w+=,.@/-]+|role/[\w+=,.@/-]+|assumed-role/[\w+=,.@-]+/[\w+=,.@-]+)$`)
	principalKind = []string{"AWS", "Service", "Federated", "CanonicalUser"}
)

func parsePrincipals(n node) ([]principal, error) {
	if n.text != nil && *n.text == "*" {
		return []principal{{form: everyone}}, nil
	}
	if len(n.fields) == 0 {
		return nil, errors.New(`it must be "*" or an object such as {"AWS": "123456789012"}`)
	}
	var all []principal
	for _, f := range n.fields {
		texts, err := f.strings()
		switch {
		case !slices.Contains(principalKind, f.name):
			return nil, fmt.Errorf("%q is not one of %s", fault.Clip(f.name), strings.Join(principalKind, ", "))
		case err != nil:
			return nil, fmt.Errorf("%s: %w", f.name, err)
		case f.name != "AWS":
			for _, text := range texts {
				all = append(all, principal{form: service, arn: f.name + ":" + text})
			}
			continue
		}
		for _, text := range texts {
			p, ok := parsePrincipal(text)
			if !ok {
				return nil, fmt.Errorf("%q is not an account, or the ARN of a user, a role or a session, without wildcards", fault.Clip(text))
			}
			all = append(all, p)
		}
	}
	return all, nil
}

func parsePrincipal(text string) (principal, bool) {
	switch {
	case text == "*":
		return principal{form: everyone}, true
	case accountForm.MatchString(text):
		return principal{form: wholeAccount, account: text}, true
	}
	m := principalARN.FindStringSubmatch(text)
	switch {
	case m == nil, (m[2] == "sts") != strings.HasPrefix(m[4], "assumed-role/"):
		return principal{}, false
	case m[4] == "root":
		return principal{form: wholeAccount, account: m[3]}, true
	}
	return principal{form: named, account: m[3], arn: text}, true
}

func parseConditions(n node, variables bool) ([]condition, error) {
	if n.fields == nil {
		return nil, errors.New("it must be a JSON object")
	}
	var all []condition
	for _, operator := range n.fields {
		if operator.fields == nil {
			return nil, fmt.Errorf("%s must be a JSON object", fault.Clip(operator.name))
		}
		for _, key := range operator.fields {
			texts, err := key.scalars()
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", fault.Clip(operator.name), fault.Clip(key.name), err)
			}
			c, err := parseCondition(operator.name, key.name, texts, variables)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

package gate

// sts are the rules of the Security Token Service. Everybody may know who they
// are, even if a policy denies it, and a role's own trust policy says who may
// assume it.
var sts = map[string]rule{
	"AssumeRole":        free,
	"GetCallerIdentity": free,
}

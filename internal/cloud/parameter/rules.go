package parameter

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

var (
	nameForm  = regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+$`)
	imageForm = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
)

// invalid is what the API answers to what breaks its rules.
func invalid(format string, args ...any) error {
	return fault.New("ValidationException", format, args...)
}

const (
	reserved = `Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`
	form     = ` If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_`
)

// checkName holds a name to the rules of PutParameter (API Reference): letters,
// digits and ._-/, a leading slash if there is any, fifteen levels, no reserved
// beginning, and 1011 characters with the ARN.
func checkName(account, region, name string) error {
	levels := strings.Split(strings.TrimPrefix(name, "/"), "/")
	lower := strings.ToLower(strings.TrimPrefix(name, "/"))
	switch {
	case len(arn(account, region, name)) > 1011:
		return invalid("Parameter name: must have at most 1011 characters, those of its ARN included.")
	case !nameForm.MatchString(name):
		return invalid("Parameter name: must hold letters, numbers and the symbols ._-/ only.%s", form)
	case strings.HasPrefix(lower, "aws/") && strings.HasPrefix(name, "/"):
		return fault.New("AccessDeniedException", "No access to reserved parameter name: %s.", name)
	case strings.HasPrefix(lower, "aws"), strings.HasPrefix(lower, "ssm"):
		return invalid("%s%s", reserved, form)
	case len(levels) > 1 && !strings.HasPrefix(name, "/"):
		return invalid("Parameter name must be a fully qualified name.")
	case len(levels) > 15:
		return fault.New("HierarchyLevelLimitExceededException", "Parameter name %s has %d levels; a hierarchy can have a maximum of 15 levels.", name, len(levels))
	}
	for _, level := range levels {
		if level == "" {
			return invalid("Parameter name: has an empty level.%s", form)
		}
	}
	return nil
}

// complete gives a new version its defaults and holds it to the rules of its
// value.
func (s *Store) complete(ctx context.Context, tx *store.Tx, p *Parameter) error {
	switch {
	case p.Value == "":
		return invalid("1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1.")
	case p.Type == "":
		return invalid("A parameter type is required when you create a parameter.")
	case p.Type == SecureString && p.KeyID == "":
		p.KeyID = defaultKey
	case p.Type != SecureString && p.KeyID != "":
		return invalid("KeyId is not allowed for a parameter of type %s.", p.Type)
	}
	if p.DataType == "" {
		p.DataType = Text
	}
	if err := fit(p); err != nil {
		return err
	}
	if err := matches(p); err != nil {
		return err
	}
	switch p.DataType {
	case Text:
		return nil
	case Image:
		return s.checkImage(ctx, tx, p)
	}
	return invalid("The following data type is not supported: %s (Data type names are all lowercase.)", p.DataType)
}

// fit finds the tier and holds the value to its size: 4 KB, or 8 KB.
func fit(p *Parameter) error {
	n := len(p.Value)
	switch {
	case n > 8192:
		return invalid("Advanced tier parameters support a maximum parameter value of 8192 characters.")
	case p.Tier == Intelligent && n > 4096:
		p.Tier = Advanced
	case p.Tier == Intelligent, p.Tier == "":
		p.Tier = Standard
	}
	if p.Tier == Standard && n > 4096 {
		return invalid("Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier.")
	}
	return nil
}

// matches holds the value to the parameter's own pattern.
func matches(p *Parameter) error {
	if p.AllowedPattern == "" {
		return nil
	}
	pattern, err := regexp.Compile(`^(?:` + p.AllowedPattern + `)$`)
	if err != nil {
		return fault.New("InvalidAllowedPatternException", "The pattern %q cannot be used: %v.", p.AllowedPattern, err)
	}
	values := []string{p.Value}
	if p.Type == StringList {
		values = strings.Split(p.Value, ",")
	}
	for _, v := range values {
		if !pattern.MatchString(v) {
			return fault.New("ParameterPatternMismatchException", "Parameter value, failed to satisfy constraint: Value must satisfy regular expression pattern: %s", p.AllowedPattern)
		}
	}
	return nil
}

// checkImage makes sure that the value is an AMI that the account may launch.
// Amazon does this after it has answered, and keeps no version if it fails; here
// the answer tells.
func (s *Store) checkImage(ctx context.Context, tx *store.Tx, p *Parameter) error {
	if p.Type != String {
		return invalid("The data type %s is for parameters of type String.", Image)
	}
	if !imageForm.MatchString(p.Value) {
		return invalid("The value '%s' of the parameter %s has the data type %s and is not an AMI ID.", fault.Clip(p.Value), p.Name, Image)
	}
	ami, ok, err := s.world.Visible(ctx, tx, p.Account, p.Region, p.Value)
	if err != nil {
		return err
	}
	if !ok || ami.State != "available" {
		return invalid("The AMI '%s' of the parameter %s is not available in %s to the account %s.", p.Value, p.Name, p.Region, p.Account)
	}
	return nil
}

// find gives what a reference selects; selector is ":3" where it names a version.
func (s *Store) find(tx *store.Tx, account, region, reference string) (p Parameter, selector string, err error) {
	name, selector := reference, ""
	if rest, ok := strings.CutPrefix(name, "arn:"); ok {
		parts := strings.SplitN(rest, ":", 5)
		if len(parts) != 5 || parts[1] != "ssm" || parts[2] != region || parts[3] != account || !strings.HasPrefix(parts[4], "parameter/") {
			return Parameter{}, "", missing(reference)
		}
		name = strings.TrimPrefix(parts[4], "parameter")
	}
	if i := strings.IndexByte(name, ':'); i >= 0 {
		name, selector = name[:i], name[i:]
	}
	version := int64(store.Any)
	if selector != "" {
		n, err := strconv.ParseInt(selector[1:], 10, 64)
		if err != nil || n < 1 {
			n = 0 // a label: there are none here
		}
		version = n
	}
	if !nameForm.MatchString(name) {
		return Parameter{}, "", missing(reference)
	}
	p, ok, err := s.get(tx, account, region, name, version)
	if err != nil || ok {
		return p, selector, err
	}
	if selector != "" {
		_, ok, err := s.get(tx, account, region, name, store.Any)
		if err != nil {
			return Parameter{}, "", err
		}
		if ok {
			return Parameter{}, "", fault.New("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", fault.Clip(selector[1:]), name)
		}
	}
	return Parameter{}, "", missing(reference)
}

func missing(reference string) error {
	return fault.New("ParameterNotFound", "Parameter %s not found.", fault.Clip(reference))
}

package cli

import (
	"fmt"
	"regexp"
	"strings"
)

// nextParameter is a comma with a name and an equals sign behind it: only
// there does a value end, so that values may hold commas.
var nextParameter = regexp.MustCompile(`,[A-Za-z0-9_-]+=`)

// splitParameters reads "name=value,name2=value2". A value may hold equals
// signs, and commas that no "name=" follows; it must not be empty.
func splitParameters(s string) (map[string]string, error) {
	values := map[string]string{}
	for s != "" {
		one := s
		s = ""
		if at := nextParameter.FindStringIndex(one); at != nil {
			one, s = one[:at[0]], one[at[0]+1:]
		}
		name, value, ok := strings.Cut(one, "=")
		switch {
		case !ok || name == "":
			return nil, fmt.Errorf("--parameters: %q is not name=value", one)
		case value == "":
			return nil, fmt.Errorf("--parameters: the value of %s is empty", name)
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("--parameters: %s is given twice", name)
		}
		values[name] = value
	}
	return values, nil
}

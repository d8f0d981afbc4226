package engine

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// maxInventory bounds what a guest may say of its packages, in bytes.
const maxInventory = 16 << 20

// inventories are the package managers' own lists, "name<TAB>version" a line;
// the first that the instance has is used.
var inventories = []string{
	`command -v dpkg-query >/dev/null && exec dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\n'`,
	`command -v rpm >/dev/null && exec rpm -qa --qf 'ii \t%{NAME}\t%{VERSION}-%{RELEASE}\n'`,
}

// collectImageMetadata is the action CollectImageMetadata: the OS version and
// the installed packages, for ListImagePackages.
func collectImageMetadata(ctx context.Context, c *call) (result, error) {
	m, err := c.instance()
	if err != nil {
		return result{}, err
	}
	var list bytes.Buffer
	script := strings.Join(inventories, "\n") + "\nexit 0\n"
	exit, err := m.Exec(ctx, instance.Command{Argv: []string{"/bin/sh", "-c", script}, Stdout: &limited{w: &list, left: maxInventory}})
	if err != nil {
		return result{}, fmt.Errorf("listing the packages: %w", err)
	}
	if exit != 0 {
		return result{}, fmt.Errorf("listing the packages: exit status %d", exit)
	}
	packages := parsePackages(list.String())
	osVersion := c.plan.Parent.OSVersion
	if found := readOSVersion(ctx, m); found != "" {
		osVersion = found
	}
	c.log.printf("Found %s with %d packages", osVersion, len(packages))
	return result{
		outputs: map[string]any{"osVersion": osVersion, "associationId": c.row.ID},
		commit: func(tx *store.Tx) error {
			return c.engine.Recorder.Metadata(ctx, tx, c.arn, osVersion, packages)
		},
	}, nil
}

// parsePackages reads the lines of an inventory and drops what is not installed.
func parsePackages(list string) []Package {
	var packages []Package
	for _, line := range strings.Split(list, "\n") {
		fields := strings.Split(line, "\t")
		if len(fields) != 3 || !strings.HasPrefix(fields[0], "ii") || fields[1] == "" {
			continue
		}
		packages = append(packages, Package{Name: strings.ToValidUTF8(fields[1], ""), Version: strings.ToValidUTF8(fields[2], "")})
	}
	sort.Slice(packages, func(i, j int) bool { return packages[i].Name < packages[j].Name })
	return packages
}

// readOSVersion reads os-release: "Debian 12", "Ubuntu 24.04", "Amazon Linux 2023".
func readOSVersion(ctx context.Context, m *machine) string {
	var out bytes.Buffer
	if err := m.Get(ctx, "/etc/os-release", &limited{w: &out, left: 64 << 10}); err != nil {
		return ""
	}
	fields := map[string]string{}
	for _, line := range strings.Split(out.String(), "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			fields[key] = strings.Trim(value, `"'`)
		}
	}
	name, _, _ := strings.Cut(fields["NAME"], " GNU/Linux")
	return cut(strings.TrimSpace(name+" "+fields["VERSION_ID"]), 100)
}

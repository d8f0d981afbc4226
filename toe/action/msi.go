package action

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// installer is InstallMSI or UninstallMSI. The functions ask the system; tests
// put answers in their place.
type installer struct {
	module    string
	verb      string                             // msiexec's /i or /x
	signature func(path string) error            // nil if it is valid, errNotSigned if there is none
	installed func(path string) (product, error) // of the package's product
}

// product is what the system knows of a package's product.
type product struct{ installed bool }

// errNotSigned says that an installer bears no signature, as opposed to a bad
// one.
var errNotSigned = errors.New("the installer is not signed")

// MSI exit statuses that are no failure (Windows Installer error messages).
const (
	msiUnknownProduct  = 1605 // the product is not installed
	msiUninstalled     = 1614
	msiRebootInitiated = 1641
	msiRebootRequired  = 3010
)

// msiFailures names the statuses that people meet most.
var msiFailures = map[int]string{
	1601: "the Windows Installer service cannot be reached",
	1602: "the installation was cancelled",
	1603: "a fatal error during the installation",
	1605: "the product is not installed",
	1612: "the source of the installation is not available",
	1618: "another installation is in progress",
	1619: "the package cannot be opened",
	1620: "the package is not valid",
	1625: "a policy of the system forbids the installation",
	1633: "the package is not for this kind of processor",
	1638: "another version of the product is installed",
}

func (i *installer) run(ctx context.Context, h *Host, in Inputs) (Result, error) {
	e := in.Entries[0]
	properties, err := msiProperties(e.Map("properties"))
	if err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp(h.TempDir, "msi-")
	if err != nil {
		return Result{}, fmt.Errorf("making a folder for the installer: %w", err)
	}
	defer os.RemoveAll(dir)
	file, err := i.fetch(ctx, h, e.String("path"), dir)
	if err != nil {
		return Result{}, err
	}
	if err := i.checkSignature(h, e, file); err != nil {
		return Result{}, err
	}
	program, err := systemProgram(h, "msiexec.exe")
	if err != nil {
		return Result{}, err
	}
	args, err := i.arguments(h, e, file, properties)
	if err != nil {
		return Result{}, err
	}
	h.logf("%s: msiexec.exe %s", i.module, strings.Join(args[:2], " "))
	r, err := execute(ctx, h, &process{path: program, args: unquoted(args), line: `"` + program + `" ` + strings.Join(args, " "), host: h})
	return i.settle(h, e, r, err)
}

// fetch brings the installer to this machine, if it is not there: its
// signature is checked before it runs.
func (i *installer) fetch(ctx context.Context, h *Host, location, dir string) (string, error) {
	switch {
	case strings.HasPrefix(location, "s3://"):
		if h.Cloud == nil {
			return "", ErrNoCloud
		}
		bucket, key, err := SplitS3(location)
		if err != nil {
			return "", fmt.Errorf("path %w", err)
		}
		target := filepath.Join(dir, installerName(key))
		return target, getObject(ctx, h, Fetch{Action: "S3Download", Source: location}, bucket, key, target, true)
	case strings.HasPrefix(location, "http://"), strings.HasPrefix(location, "https://"):
		u, err := url.Parse(location)
		if err != nil {
			return "", fmt.Errorf("path is not a URL: %w", errors.Unwrap(err))
		}
		target := filepath.Join(dir, installerName(u.Path))
		digest, err := downloadRetrying(ctx, h, h.HTTP(false), location, target, checksum{})
		if err == nil {
			h.fetched(Fetch{Action: "WebDownload", Source: location, SHA256: digest})
		}
		return target, err
	}
	if strings.ContainsAny(location, "\"\x00\r\n") {
		return "", errors.New("path holds a character that no file's name has")
	}
	file := h.Path(location)
	return file, requireFile(file)
}

// installerName gives a downloaded installer a name that msiexec takes
// unquoted.
func installerName(key string) string {
	name := path.Base(strings.ReplaceAll(key, `\`, "/"))
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`).MatchString(name) {
		return "installer.msi"
	}
	return name
}

func (i *installer) checkSignature(h *Host, e Entry, file string) error {
	err := i.signature(file)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNotSigned) && e.Bool("allowUnsignedInstaller"):
		h.logf("%s: %s is not signed, which allowUnsignedInstaller allows", i.module, file)
		return nil
	case e.Bool("ignoreAuthenticodeSignatureErrors"):
		h.logf("%s: the signature of %s is ignored: %v", i.module, file, err)
		return nil
	}
	return fmt.Errorf("the signature of %s: %w", file, err)
}

// arguments makes msiexec's command line, as it must stand there: msiexec
// wants quotes around values, not around whole arguments. The properties that
// documents may not change are those of the user guide; REINSTALL is left out
// for a product that is not there, which would otherwise install nothing.
func (i *installer) arguments(h *Host, e Entry, file string, properties []string) ([]string, error) {
	args := []string{i.verb, `"` + file + `"`, "/qn", "REBOOT=ReallySuppress"}
	if i.verb == "/i" {
		known, err := i.installed(file)
		if err != nil {
			return nil, fmt.Errorf("reading the package %s: %w", file, err)
		}
		if known.installed {
			args = append(args, "REINSTALLMODE=ecmus", "REINSTALL=ALL")
		}
	}
	if name := e.String("logFile"); name != "" {
		if strings.ContainsAny(name, "\"\x00\r\n") {
			return nil, errors.New("logFile holds a character that no file's name has")
		}
		options := e.String("logOptions")
		if err := checkMSILogOptions(options); err != nil {
			return nil, fmt.Errorf("logOptions %w", err)
		}
		name = h.Path(name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return nil, err
		}
		args = append(args, "/L"+options, `"`+name+`"`)
	}
	return append(args, properties...), nil
}

var propertyName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// fixedProperties are those that documents may not change.
var fixedProperties = []string{"REBOOT", "REINSTALLMODE", "REINSTALL"}

// msiProperties writes properties as msiexec reads them: NAME="value", a quote
// within doubled. They come out in the order of their names.
func msiProperties(values map[string]string) ([]string, error) {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		switch {
		case !propertyName.MatchString(name):
			return nil, fmt.Errorf("%q is not the name of a property", abbreviate(name))
		case slices.Contains(fixedProperties, strings.ToUpper(name)):
			return nil, fmt.Errorf("the property %s cannot be changed", name)
		case strings.ContainsAny(value, "\x00\r\n"):
			return nil, fmt.Errorf("the value of the property %s has several lines", name)
		}
		out = append(out, name+`="`+strings.ReplaceAll(value, `"`, `""`)+`"`)
	}
	return out, nil
}

// unquoted are the arguments as a program sees them that reads a command line
// by msiexec's rules: what platforms without command lines are given.
func unquoted(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if open := strings.IndexByte(a, '"'); open >= 0 {
			a = a[:open] + strings.ReplaceAll(strings.TrimSuffix(a[open+1:], `"`), `""`, `"`)
		}
		out[i] = a
	}
	return out
}

// settle turns msiexec's exit status into the module's result.
func (i *installer) settle(h *Host, e Entry, r Result, err error) (Result, error) {
	var exit *ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, err
	}
	code := 0
	if exit != nil {
		code = exit.Code
	}
	log := ""
	if e.String("logFile") != "" {
		log = h.Path(e.String("logFile"))
	}
	r.Outputs[0]["logFile"], r.Outputs[0]["msiExitCode"] = log, strconv.Itoa(code)
	needed, err := i.judge(code)
	if err != nil {
		return r, err
	}
	switch mode := e.String("reboot"); {
	case mode == "Force", mode == "Allow" && needed:
		r.Reboot = RebootNext
	case needed:
		h.logf("%s: the installer asks for a restart, which reboot: Skip leaves out", i.module)
	}
	return r, nil
}

// judge says what an exit status means.
func (i *installer) judge(code int) (reboot bool, err error) {
	switch {
	case code == 0, code == msiUninstalled, code == msiUnknownProduct && i.verb == "/x":
		return false, nil
	case code == msiRebootInitiated, code == msiRebootRequired:
		return true, nil
	case msiFailures[code] != "":
		return false, fmt.Errorf("msiexec ended with status %d: %s", code, msiFailures[code])
	}
	return false, fmt.Errorf("msiexec ended with status %d", code)
}

package engine

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// placeholder matches {{ imagebuilder:NAME }} and {{ imagebuilder:NAME:FORMAT }}.
var placeholder = regexp.MustCompile(`\{\{\s*imagebuilder:(buildDate|buildVersion)(?::([^{}]*?))?\s*\}\}`)

// expand fills in the placeholders of AMI names and tags: buildDate (UTC,
// "2006-01-02T15-04-05.000Z" as Amazon writes it, or in a Java date format) and
// buildVersion (the build number).
func expand(text string, at time.Time, build int64) string {
	return placeholder.ReplaceAllStringFunc(text, func(match string) string {
		part := placeholder.FindStringSubmatch(match)
		if part[1] == "buildVersion" {
			return strconv.FormatInt(build, 10)
		}
		if part[2] == "" {
			return buildDate(at)
		}
		return javaDate(part[2], at)
	})
}

// buildDate is the default form of the build date, free of the colons that
// tools stumble over.
func buildDate(at time.Time) string {
	return strings.ReplaceAll(at.UTC().Format("2006-01-02T15:04:05.000Z"), ":", "-")
}

// javaDates are the fields of a Java date format that Amazon's examples use.
var javaDates = map[string]string{
	"yyyy": "2006", "yy": "06", "MM": "01", "dd": "02", "HH": "15", "hh": "03", "mm": "04", "ss": "05", "SSS": "000", "a": "PM",
}

// javaDate formats at, in UTC, by a Java date format; letters that are no known
// field stay as they are.
func javaDate(format string, at time.Time) string {
	at = at.UTC()
	var out strings.Builder
	for i := 0; i < len(format); {
		j := i + 1
		for j < len(format) && format[j] == format[i] {
			j++
		}
		run := format[i:j]
		switch layout, ok := javaDates[run]; {
		case run == "SSS":
			out.WriteString(at.Format(".000")[1:])
		case ok:
			out.WriteString(at.Format(layout))
		default:
			out.WriteString(run)
		}
		i = j
	}
	return out.String()
}

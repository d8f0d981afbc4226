package wire

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// decodeJSON reads a body into in, a pointer to a generated structure. Members
// that the structure does not have are passed over, as AWS does; a null member
// is an absent one; of a repeated member the last one counts.
func decodeJSON(body []byte, in any) error {
	s := &scanner{text: body}
	if s.next() != '{' {
		return s.syntax("an object was expected")
	}
	v := reflect.ValueOf(in).Elem()
	if err := jsonReader(v.Type())(s, v); err != nil {
		return err
	}
	if s.next(); s.pos < len(s.text) {
		return s.syntax("there is more after the object")
	}
	return nil
}

// readJSON reads the next value into v.
type readJSON func(s *scanner, v reflect.Value) error

var jsonReaders sync.Map // reflect.Type to readJSON

var timeType = reflect.TypeFor[shape.Time]()

// jsonReader gives the function that reads a type; it is made once per type.
func jsonReader(t reflect.Type) readJSON {
	if known, ok := jsonReaders.Load(t); ok {
		return known.(readJSON)
	}
	made, _ := jsonReaders.LoadOrStore(t, makeJSONReader(t))
	return made.(readJSON)
}

func makeJSONReader(t reflect.Type) readJSON {
	switch {
	case t == timeType:
		return readTime
	case t.Kind() == reflect.Pointer:
		return func(s *scanner, v reflect.Value) error {
			target := reflect.New(t.Elem())
			if err := jsonReader(t.Elem())(s, target.Elem()); err != nil {
				return err
			}
			v.Set(target)
			return nil
		}
	}
	switch t.Kind() {
	case reflect.Struct:
		return structReader(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return readBlob
		}
		return listReader(t)
	case reflect.Map:
		return mapReader(t)
	case reflect.String:
		return readString
	case reflect.Bool:
		return readBool
	case reflect.Int32, reflect.Int64:
		return readInt
	case reflect.Float32, reflect.Float64:
		return readFloat
	}
	panic("wire: generated shapes have no " + t.String())
}

func structReader(t reflect.Type) readJSON {
	fields := map[string]int{}
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		if tag.Get("query") != "" || tag.Get("path") != "" {
			continue // not in the body
		}
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		fields[name] = i
	}
	return func(s *scanner, v reflect.Value) error {
		if s.next() != '{' {
			return s.unfit("a Structure")
		}
		return s.object(func(name string) error {
			i, known := fields[name]
			if !known {
				return s.skip()
			}
			f := v.Field(i)
			if s.next() == 'n' {
				f.SetZero()
				return s.word("null")
			}
			return within(name, jsonReader(f.Type())(s, f))
		})
	}
}

func listReader(t reflect.Type) readJSON {
	return func(s *scanner, v reflect.Value) error {
		if s.next() != '[' {
			return s.unfit("a List")
		}
		list := reflect.MakeSlice(t, 0, 0)
		item := reflect.New(t.Elem()).Elem()
		err := s.series('[', ']', func() error {
			item.SetZero()
			if err := jsonReader(t.Elem())(s, item); err != nil {
				return within(fmt.Sprintf("[%d]", list.Len()), err)
			}
			list = reflect.Append(list, item)
			return nil
		})
		v.Set(list)
		return err
	}
}

func mapReader(t reflect.Type) readJSON {
	return func(s *scanner, v reflect.Value) error {
		if s.next() != '{' {
			return s.unfit("a Map")
		}
		v.Set(reflect.MakeMap(t))
		item := reflect.New(t.Elem()).Elem()
		return s.object(func(name string) error {
			item.SetZero()
			if err := jsonReader(t.Elem())(s, item); err != nil {
				return within(name, err)
			}
			v.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), item)
			return nil
		})
	}
}

func readString(s *scanner, v reflect.Value) error {
	if s.next() != '"' {
		return s.unfit("a String")
	}
	text, err := s.str()
	v.SetString(text)
	return err
}

func readBool(s *scanner, v reflect.Value) error {
	switch s.next() {
	case 't':
		v.SetBool(true)
		return s.word("true")
	case 'f':
		v.SetBool(false)
		return s.word("false")
	}
	return s.unfit("a Boolean")
}

// digits reads a number's text for the type that is called what.
func (s *scanner) digits(what string) (string, error) {
	if c := s.next(); c != '-' && (c < '0' || c > '9') {
		return "", s.unfit(what)
	}
	return s.number()
}

func readInt(s *scanner, v reflect.Value) error {
	text, err := s.digits("an Integer")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil {
		return &unfitError{what: fmt.Sprintf("%.40s is not an Integer of %d bits", text, v.Type().Bits())}
	}
	v.SetInt(n)
	return nil
}

func readFloat(s *scanner, v reflect.Value) error {
	text, err := s.digits("a Double")
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(text, v.Type().Bits())
	if err != nil {
		return &unfitError{what: fmt.Sprintf("%.40s is out of a Double's range", text)}
	}
	v.SetFloat(f)
	return nil
}

func readTime(s *scanner, v reflect.Value) error {
	text, err := s.digits("a Timestamp")
	if err != nil {
		return err
	}
	t, err := shape.FromEpoch(text)
	if err != nil {
		return &unfitError{what: err.Error()}
	}
	v.Set(reflect.ValueOf(t))
	return nil
}

func readBlob(s *scanner, v reflect.Value) error {
	if s.next() != '"' {
		return s.unfit("a Blob")
	}
	text, err := s.str()
	if err != nil {
		return err
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return &unfitError{what: "a Blob has to be in base64"}
	}
	v.SetBytes(b)
	return nil
}

// unfitError is a value of the wrong type, and the path to it as far as it is
// known.
type unfitError struct{ what, path string }

func (e *unfitError) Error() string {
	if e.path == "" {
		return e.what
	}
	return e.what + " (at '" + e.path + "')"
}

// unfit reports that the next value is not a thing of the wanted type, in
// AWS's words.
func (s *scanner) unfit(wanted string) error {
	switch c := s.next(); {
	case c == '{':
		return &unfitError{what: "Start of structure or map found where not expected"}
	case c == '[':
		return &unfitError{what: "Start of list found where not expected"}
	case c == '"':
		return &unfitError{what: "STRING_VALUE can not be converted to " + wanted}
	case c == 't':
		return &unfitError{what: "TRUE_VALUE can not be converted to " + wanted}
	case c == 'f':
		return &unfitError{what: "FALSE_VALUE can not be converted to " + wanted}
	case c == 'n':
		return &unfitError{what: "NULL_VALUE can not be converted to " + wanted}
	case c == '-' || '0' <= c && c <= '9':
		return &unfitError{what: "NUMBER_VALUE can not be converted to " + wanted}
	}
	return s.syntax("unexpected character")
}

// within adds a member's name in front of where a wrong value is.
func within(name string, err error) error {
	unfit, ok := err.(*unfitError)
	if !ok {
		return err
	}
	if len(name) > 64 {
		name = strings.ToValidUTF8(name[:64], "") + "…"
	}
	if unfit.path != "" && unfit.path[0] != '[' {
		name += "."
	}
	unfit.path = name + unfit.path
	return unfit
}

package wire

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strconv"

	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// setText sets a scalar member, or the value that a scalar member points to,
// from its text in a path, a query string or a form.
func setText(v reflect.Value, text string) error {
	if v.Kind() == reflect.Pointer {
		target := reflect.New(v.Type().Elem())
		if err := setText(target.Elem(), text); err != nil {
			return err
		}
		v.Set(target)
		return nil
	}
	if v.Type() == timeType {
		t, err := shape.FromISO8601(text)
		if err != nil {
			t, err = shape.FromEpoch(text)
		}
		if err != nil {
			return fmt.Errorf("%.40q is not a timestamp", text)
		}
		v.Set(reflect.ValueOf(t))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%.40q is not a Boolean", text)
		}
		v.SetBool(text == "true")
	case reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%.40q is not an Integer of %d bits", text, v.Type().Bits())
		}
		v.SetInt(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%.40q is not a Double", text)
		}
		v.SetFloat(f)
	case reflect.Slice:
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("a Blob has to be in base64")
		}
		v.SetBytes(b)
	default:
		return fmt.Errorf("a single value cannot be a %s", v.Kind())
	}
	return nil
}

// text gives a scalar as the XML protocols write it.
func text(v reflect.Value) string {
	if v.Type() == timeType {
		return v.Interface().(shape.Time).ISO8601()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	case reflect.Slice:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	panic("wire: generated shapes have no " + v.Type().String())
}

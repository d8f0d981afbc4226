package wire

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// encode writes the XML answer of both query protocols.
func (c *form) encode(op *shape.Operation, out any, requestID string) ([]byte, error) {
	var w xmlWriter
	w.WriteString(xml.Header)
	fmt.Fprintf(&w, "<%sResponse xmlns=%q>", op.Name, c.service.Namespace)
	if c.service.Protocol == shape.EC2 {
		w.element("requestId", requestID)
		w.structure(reflect.ValueOf(out).Elem())
	} else {
		w.open(op.ResultWrapper)
		w.structure(reflect.ValueOf(out).Elem())
		w.close(op.ResultWrapper)
		w.open("ResponseMetadata")
		w.element("RequestId", requestID)
		w.close("ResponseMetadata")
	}
	fmt.Fprintf(&w, "</%sResponse>", op.Name)
	return w.Bytes(), nil
}

// xmlWriter writes elements. An empty name stands for no element at all.
type xmlWriter struct{ bytes.Buffer }

func (w *xmlWriter) open(name string) {
	if name != "" {
		w.WriteString("<" + name + ">")
	}
}

func (w *xmlWriter) close(name string) {
	if name != "" {
		w.WriteString("</" + name + ">")
	}
}

func (w *xmlWriter) element(name, text string) {
	w.open(name)
	xml.EscapeText(w, []byte(text)) // a buffer takes everything
	w.close(name)
}

// xmlField is how a member is written: an outer element around a collection's
// items, or "" where the items stand alone.
type xmlField struct {
	index       int
	outer, item string
	key, value  string // of a map
}

var xmlFields sync.Map // reflect.Type to []xmlField

func elementsOf(t reflect.Type) []xmlField {
	if known, ok := xmlFields.Load(t); ok {
		return known.([]xmlField)
	}
	var fields []xmlField
	for i := range t.NumField() {
		names := strings.Split(t.Field(i).Tag.Get("element"), ",")
		f := xmlField{index: i}
		var wrapped bool
		if f.outer, f.item, wrapped = strings.Cut(names[0], ">"); !wrapped {
			f.outer, f.item = "", names[0]
		}
		if len(names) == 3 {
			f.key, f.value = names[1], names[2]
		}
		fields = append(fields, f)
	}
	known, _ := xmlFields.LoadOrStore(t, fields)
	return known.([]xmlField)
}

func (w *xmlWriter) structure(v reflect.Value) {
	for _, f := range elementsOf(v.Type()) {
		m := v.Field(f.index)
		if m.IsNil() {
			continue
		}
		switch {
		case m.Kind() == reflect.Slice && m.Type().Elem().Kind() != reflect.Uint8:
			w.open(f.outer)
			for i := range m.Len() {
				w.value(f.item, m.Index(i))
			}
			w.close(f.outer)
		case m.Kind() == reflect.Map:
			w.entries(f, m)
		default:
			w.value(f.item, m)
		}
	}
}

func (w *xmlWriter) entries(f xmlField, m reflect.Value) {
	w.open(f.outer)
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		w.open(f.item)
		w.value(f.key, k)
		w.value(f.value, m.MapIndex(k))
		w.close(f.item)
	}
	w.close(f.outer)
}

func (w *xmlWriter) value(name string, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct && v.Type() != timeType {
		w.open(name)
		w.structure(v)
		w.close(name)
		return
	}
	w.element(name, text(v))
}

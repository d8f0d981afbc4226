package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// plainLog prints warnings and errors for people: "toe: warning: message
// (name value)".
func plainLog(w io.Writer) *slog.Logger { return slog.New(&plainHandler{w: w}) }

type plainHandler struct {
	w     io.Writer
	attrs []slog.Attr
}

// Enabled passes warnings and what is worse.
func (h *plainHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

// Handle prints one line.
func (h *plainHandler) Handle(_ context.Context, r slog.Record) error {
	var details []string
	add := func(a slog.Attr) bool {
		details = append(details, fmt.Sprintf("%s %v", a.Key, a.Value))
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	text := "toe: " + strings.ToLower(strings.Replace(r.Level.String(), "WARN", "warning", 1)) + ": " + r.Message
	if len(details) > 0 {
		text += " (" + strings.Join(details, ", ") + ")"
	}
	_, err := fmt.Fprintln(h.w, text)
	return err
}

// WithAttrs adds attributes to every line.
func (h *plainHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &plainHandler{w: h.w, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup has no meaning for people.
func (h *plainHandler) WithGroup(string) slog.Handler { return h }

package enginetest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/storage"
)

// Suite holds an engine to what every engine promises, whatever it restores: a
// usable schema, a survey of an empty copy that is not an error, kinds that
// cover its plan, and refusals that say what to do.
func Suite(t *testing.T, e recovery.Engine, empty storage.Store) {
	t.Helper()
	schema := e.Schema()
	if schema.Engine == "" || schema.Kind == "" {
		t.Errorf("the schema names engine %q and kind %q", schema.Engine, schema.Kind)
	}
	for _, k := range schema.Keys {
		if k.Name == "" || k.Doc == "" || k.Example == "" || strings.ToLower(k.Name) != k.Name {
			t.Errorf("key %+v needs a lower-case name, a description and an example", k)
		}
	}
	for _, k := range e.Kinds() {
		if !strings.Contains(k.Name(), ".") {
			t.Errorf("kind %q is not named after its package", k.Name())
		}
		switch k.Restart() {
		case recovery.Repeat, recovery.Continue, recovery.Clean:
		default:
			t.Errorf("kind %q does not say what an interruption needs: %q", k.Name(), k.Restart())
		}
	}
	c := recovery.Component{Name: "part", Kind: schema.Kind}
	s, err := e.Survey(t.Context(), c, recovery.Copy{Name: "empty", URL: empty.URL()}, empty)
	if err != nil {
		t.Fatalf("survey of an empty copy: %v", err)
	}
	if len(s.Backups)+len(s.Windows) > 0 {
		t.Errorf("an empty copy has %d backups and %d windows", len(s.Backups), len(s.Windows))
	}
	if s.Engine != schema.Engine || s.Component != "part" || s.Copy != "empty" {
		t.Errorf("the survey is of %s in %s by %s", s.Component, s.Copy, s.Engine)
	}
	if _, err := e.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, empty); err == nil || recovery.HintOf(err) == "" {
		t.Errorf("resolving latest in an empty copy: %v (hint %q), want a refusal with a hint", err, recovery.HintOf(err))
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Survey(cancelled, c, recovery.Copy{Name: "empty"}, empty); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("survey with an ended context: %v", err)
	}
}

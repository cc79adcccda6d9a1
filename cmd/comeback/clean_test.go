package main

import (
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/execute"
)

// What a copy or a server has said reaches a terminal neither as a command nor turned around,
// and without secrets, in a hint as in what went wrong.
func TestApp_besides(t *testing.T) {
	a := &app{host: host{secrets: execute.NewSecrets(func(string) (string, bool) { return "hunter2-hunter2", true }, nil, "SHOP_KEY")}}
	const text = "\x1b[2J \u202eko\u200b hunter2-hunter2"
	var out strings.Builder
	a.besides(&out, catalogue.Catalogue{Refusals: []catalogue.Refusal{{Copy: "offsite", Component: "db", Engine: "dump", Err: recovery.Errorf(text, text)}}}, nil)
	if got := out.String(); strings.ContainsAny(got, "\x1b\u202e\u200b") || strings.Contains(got, "hunter2") || strings.Count(got, "[redacted]") != 2 || strings.Count(got, "\uFFFDko\uFFFD") != 2 {
		t.Errorf("it says %q", got)
	}
}

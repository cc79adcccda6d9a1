package main

import "testing"

// A command that is told on another host is pasted there, so it says where it is carried out;
// what is not about a run, or is not carried out on another host, stays as it is.
func TestApp_fromThere(t *testing.T) {
	for text, want := range map[string]string{
		"take it up again: comeback resume 7c31":                        "take it up again: comeback resume --on db1 7c31",
		"comeback stop 7c31 --reason WHY, or comeback rescue undo 7c31": "comeback stop --on db1 7c31 --reason WHY, or comeback rescue undo --on db1 7c31",
		"DIED; comeback resume 7c31, 1 claim not given back":            "DIED; comeback resume --on db1 7c31, 1 claim not given back",
		"comeback stop 7c31 --on db2":                                   "comeback stop 7c31 --on db2",
		"comeback resume --on db1 7c31":                                 "comeback resume --on db1 7c31",
		"list them with: comeback runs":                                 "list them with: comeback runs --on db1",
		"read its report: comeback report show 7c31":                    "read its report: comeback report show 7c31",
		"comeback stop RUN removes what was left":                       "comeback stop RUN removes what was left",
	} {
		r := newRig(t)
		a := r.app(nil, nil)
		if got := a.fromThere(text); got != text {
			t.Errorf("here %q is told as %q", text, got)
		}
		r.environ[onEnv] = "db1"
		if got := a.fromThere(text); got != want {
			t.Errorf("%q is told as %q, want %q", text, got, want)
		}
	}
}

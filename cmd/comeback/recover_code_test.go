package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/recovery/runner"

	"github.com/jackc/pgx/v5"
)

// asRoot has a superuser do something in the live shop.
func (l *lost) asRoot(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.Layout.URL("postgres", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%v: %s", err, sql)
	}
}

// Code in a copy that only a superuser may make, and live does not have, is not loaded before
// somebody has said that it may be: unattended the run is refused, and live is untouched; a
// person goes on with a reason, which is an exception; and the runbook can say so itself.
func TestRecover_code(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	const code = "create function public.pid() returns int language internal as 'pg_backend_pid'"
	l.asRoot(t, code)
	dump, err := l.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := rowsOf(t, l.URL())
	gone := func() { l.asRoot(t, "drop function public.pid()") }
	gone()
	path := liveRunbook(t, l, want)
	const refusal = "code with the rights of superuser postgres that live does not have: function public.pid() in internal"
	beside := func() bool {
		return slices.ContainsFunc(databases(t, l), func(name string) bool { return strings.Contains(name, "_cb_") })
	}

	r := newRig(t).live(l)
	got := r.run(t.Context(), "recover", path, "--plain", "--to", dump, "--confirm", target(t))
	if got.code != recovery.Refused || !strings.Contains(got.out+got.err, refusal) || beside() {
		t.Fatalf("unattended: exit %d, loaded %v\n%s%s", got.code, beside(), got.out, got.err)
	}

	r = newRig(t).live(l)
	a := r.app(nil, nil)
	b, _, err := a.open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := a.survey(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.plan(t.Context(), b, cat, choices{mode: recovery.Recovery, to: dump})
	if err != nil {
		t.Fatal(err)
	}
	run, err := a.start(t.Context(), b, p, "test", runner.Launch{Confirm: target(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run.Close)
	state := untilState(t, run, waitsFor("database.code", recovery.WaitDecision))
	if st := state.Step("database.code"); st.ExitCode != recovery.Refused || !strings.Contains(st.Error, refusal) || !strings.Contains(st.Hint, "trusts: [internal]") || beside() {
		t.Errorf("it says %q (exit %d, next: %s), loaded %v", st.Error, st.ExitCode, st.Hint, beside())
	}
	do(t, run, recovery.Command{Kind: recovery.DoDecide, By: "ops1", Step: "database.code", Choice: recovery.ChooseContinue, Text: "we wrote it ourselves"})
	if state = untilEnd(t, run); state.Exit != recovery.WithExceptions || state.Step("database.code").State != recovery.Passed {
		t.Errorf("ended with exit %d: %s", state.Exit, state.Says)
	}
	rep, err := report.Make(run.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if text := string(rep.Markdown()); !strings.Contains(text, "we wrote it ourselves") || !strings.Contains(text, "public.pid()") {
		t.Errorf("the report does not tell of it:\n%s", text)
	}
	if !slices.Equal(rowsOf(t, l.URL()), want) {
		t.Error("live is not what came back")
	}

	gone()
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Replace(string(text), "kind: postgres,", "kind: postgres, trusts: [internal],", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r = newRig(t).live(l)
	if got := r.run(t.Context(), "recover", path, "--plain", "--to", dump, "--confirm", target(t)); got.code != recovery.CameBack || !strings.Contains(got.out, "`trusts:` of the runbook says so: function public.pid() in internal") {
		t.Errorf("trusted: exit %d\n%s%s", got.code, got.out, got.err)
	}
	l.asRoot(t, "select public.pid()")
}

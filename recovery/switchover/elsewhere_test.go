package switchover

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// fresh is what Look says of a host on which there is nothing yet, where the address that
// the variable holds leads to.
func fresh(t *testing.T, data, address string, settings recovery.Settings) (recovery.Live, error) {
	t.Helper()
	c := recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"into": {intoCluster}, "data": {data}, "url": {"${DATABASE_URL}"}}}
	for name, v := range settings {
		c.Settings[name] = v
	}
	return switcher{}.Look(t.Context(), c, nil, func(text string) (string, error) { return strings.ReplaceAll(text, "${DATABASE_URL}", address), nil })
}

// The server of a fresh place is asked for at the component's address in the end. One that
// leads to another host is refused when the plan is made, with what to write there.
func TestLook_freshElsewhere(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "main")
	for address, host := range map[string]string{
		"postgres:///shop?host=" + dir:          "",
		"postgres://localhost:1/shop":           "",
		"postgres://shop:hunter2@db1.invalid/x": "db1.invalid",
	} {
		l, err := fresh(t, data, address, nil)
		switch {
		case host == "" && (err != nil || !l.Fresh || l.Target.Place != data):
			t.Errorf("%s: %+v, %v", address, l, err)
		case host == "":
		case recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "leads to "+host+", which is not this machine"):
			t.Errorf("%s: %v", address, err)
		default:
			for _, says := range []string{"let ${DATABASE_URL} name this machine", "localhost in the place of " + host, "/etc/hosts"} {
				if hint := recovery.HintOf(err); !strings.Contains(hint, says) || strings.Contains(hint+err.Error(), "hunter2") {
					t.Errorf("%s: next %q", address, hint)
				}
			}
		}
	}
	if _, err := fresh(t, data, "postgres://localhost:1/shop", recovery.Settings{"url": {"postgres://db1.invalid/shop"}}); !strings.Contains(recovery.HintOf(err), "let the address of the component in the runbook name this machine") {
		t.Errorf("of an address that stands in the runbook: %v, next %q", err, recovery.HintOf(err))
	}
}

// A server that runs and does not answer at its address, because that leads to another host,
// is told as that, with the variable that mends it; whatever else keeps it is told as it is.
func TestStart_misled(t *testing.T) {
	_, data, address := serving(t)
	why := errors.New("the live server did not answer")
	err := misled(t.Context(), "${DATABASE_URL}", "postgres://db1.invalid/shop", data, why)
	if !errors.Is(err, why) || !strings.Contains(err.Error(), "runs, and the component's address leads to db1.invalid") || !strings.Contains(recovery.HintOf(err), "let ${DATABASE_URL} name this machine") {
		t.Errorf("error %v, next %q", err, recovery.HintOf(err))
	}
	for _, err := range []error{
		misled(t.Context(), "${DATABASE_URL}", address, data, why),
		misled(t.Context(), "${DATABASE_URL}", "postgres://db1.invalid/shop", t.TempDir(), why),
	} {
		if err != why {
			t.Errorf("error %v", err)
		}
	}
}

// Where the server of a database is gone, its recovery is refused with the ways in which it
// comes back without it, each of which the runbook or the address says. A server that
// answers is not gone.
func TestLook_noServer(t *testing.T) {
	_, _, address := serving(t)
	at := func(of string) string {
		_, err := switcher{}.Look(t.Context(), recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"url": {of}}}, nil,
			func(text string) (string, error) { return text, nil })
		if err == nil {
			t.Fatalf("%s is a live database", of)
		}
		return recovery.HintOf(err)
	}
	gone := at("postgres://localhost:1/shop")
	for _, way := range []string{"`into: hand-over`", "`into: cluster` with data:", "an empty database of that name"} {
		if !strings.Contains(gone, way) {
			t.Errorf("next %q", gone)
		}
	}
	if empty := at(strings.Replace(address, "/postgres?", "/shop?", 1)); !strings.Contains(empty, "make it there, empty") {
		t.Errorf("without the database: next %q", empty)
	}
	for _, of := range []string{strings.Replace(address, "user=postgres", "user=nobody", 1), "postgres://localhost:1,localhost:2/shop", "postgres://localhost:1"} {
		if hint := at(of); strings.Contains(hint, "hand-over") {
			t.Errorf("%s: next %q", of, hint)
		}
	}
}

// The console says beforehand what another host takes, by how a component comes back.
func TestAnotherHost(t *testing.T) {
	for name, c := range map[string]struct {
		settings recovery.Settings
		says     string
	}{
		"a database":             {recovery.Settings{"url": {"${DATABASE_URL}"}}, "comes back only into a server that runs: where that is gone, the runbook says how without it: `into: hand-over`"},
		"handed over":            {recovery.Settings{"into": {recovery.IntoHandOver}}, ""},
		"a cluster":              {recovery.Settings{"into": {intoCluster}, "url": {"${DATABASE_URL}"}}, "where it is to be (data:)"},
		"a cluster with a place": {recovery.Settings{"into": {intoCluster}, "url": {"${DATABASE_URL}"}, "data": {"/srv/pg"}}, "let ${DATABASE_URL} name that host"},
		"by its admin's address": {recovery.Settings{"into": {intoCluster}, "url": {"${DATABASE_URL}"}, "admin": {"${ADMIN_URL}"}, "data": {"/srv/pg"}}, "let ${ADMIN_URL} name that host"},
	} {
		if says := AnotherHost(recovery.Component{Name: "database", Settings: c.settings}); (says == "") != (c.says == "") || !strings.Contains(says, c.says) {
			t.Errorf("%s: %q", name, says)
		}
	}
}

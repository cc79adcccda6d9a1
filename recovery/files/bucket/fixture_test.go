package bucket_test

import (
	"fmt"
	"net/url"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/storage"
)

// directory is an empty copy in a directory.
func directory(t testing.TB) storage.Store {
	t.Helper()
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

var latest = recovery.Want{Kind: recovery.WantLatest, Text: "latest"}

// survey is that of a copy.
func survey(t testing.TB, e recovery.Engine, c recovery.Component, store storage.Store) recovery.Survey {
	t.Helper()
	s, err := e.Survey(t.Context(), c, recovery.Copy{Name: "nearby", URL: store.URL()}, store)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// options restore a bucket as it is now.
func options(t testing.TB, e recovery.Engine, c recovery.Component, store storage.Store) enginetest.Options {
	t.Helper()
	s := survey(t, e, c, store)
	p, err := e.Resolve(t.Context(), s, latest, store)
	if err != nil {
		t.Fatalf("%v (%s); findings %+v", err, recovery.HintOf(err), s.Findings)
	}
	return enginetest.Options{Engine: e, Component: c, Point: p, Owner: recovery.User{UID: -1, GID: -1},
		Stores: map[string]storage.Store{"nearby": store}}
}

// treeOf is the directory that a component is bound to.
func treeOf(env recovery.Env, component string) (string, error) {
	b, ok := env.Binding(component)
	u, err := url.Parse(b.URL)
	if err != nil || !ok || !b.Scratch || u.Scheme != "file" {
		return "", fmt.Errorf("the binding is %+v", b)
	}
	return u.Path, nil
}

// passed wants a run to have ended well.
func passed(t testing.TB, s recovery.State) {
	t.Helper()
	if s.Result != recovery.ResultPassed {
		says, hint := enginetest.Failure(s)
		t.Fatalf("the run ended as %s: %s (%s); %s", s.Result, says, hint, s.Says)
	}
}

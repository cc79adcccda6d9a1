package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/storagetest"
)

// The server died and a copy refuses: from the first screen to the signed report,
// over a check that fails, another moment, and the name that is asked for again.
func TestJourney_serverDied(t *testing.T) {
	for _, v := range voices {
		t.Run(v.name, func(t *testing.T) {
			s := newSite(t, "  nearby: {url: \"file://%s\"}\n  offsite: {url: \"file:///nowhere/at/all\"}\n")
			s.dies(t)
			r := newRig(t)
			withKey(t, r)
			name := s.target(t)
			older := s.taken(t, "pages-1.tar").Format("2006-01-02 15:04:05Z")
			code := v.goes(t, r, s.dir, journey{
				{sees: []string{"WOULD IT SAVE US?", "site", "never restored: a hope"}, keys: "enter", line: "1"},
				{sees: []string{"WHAT HAPPENED?", "REFUSED", "/nowhere/at/all", "signing"}, keys: "2", line: "2"},
				{sees: []string{"The server or its disk died", "OUTAGE BEGAN"}, keys: "~5_minutes_ago enter", line: "~5 minutes ago"},
				{sees: []string{"GO BACK TO WHICH MOMENT?", "tar archive", "REFUSED"}, keys: "down enter", line: "1"},
				{sees: []string{"To change LIVE, type the target", "nothing there"}, keys: "www enter", line: "www"},
				{sees: []string{"is not the name of the target"}, keys: "clear " + name + " enter", line: name},
				{sees: []string{"FAILED", "the pages are whole", "Try again", "Other moment..."}, keys: "5 enter", line: "5"},
				{sees: []string{"ANOTHER MOMENT", "MOMENT  >"}, keys: "pages-1.tar enter", line: "pages-1.tar", meanwhile: func() { s.passes(t) }},
				{sees: []string{"AMENDMENT", "becomes"}, keys: "1 enter", line: "1"},
				{sees: []string{"WAITS FOR YOU", "after its name was typed", "all since " + older, "To change LIVE, type the target"}, keys: name + " enter", line: name},
				{sees: []string{"WAITS FOR YOU", "Somebody has looked"}, keys: "down space", line: "1 done"},
				{sees: []string{"CAME BACK"}, keys: "k", line: "sign"},
				{sees: []string{"SIGN THE REPORT", "id_ed25519"}, keys: "down enter", line: "1"},
				{sees: []string{"SIGNED by id_ed25519"}, keys: "q", line: "quit"},
			})
			if code != int(recovery.CameBack) {
				t.Errorf("exit %d", code)
			}
			if shows := s.shows(t); shows != "welcome\n" {
				t.Errorf("the site shows %q", shows)
			}
			verifiesWithStockTools(t, r.only(t), filepath.Join(r.environ["HOME"], ".ssh", "id_ed25519"))
			state := r.stateOf(t, filepath.Base(r.only(t)))
			if state.Outage.How != "estimated" || len(state.Amendments) != 1 || len(state.Confirmations) != 2 {
				t.Fatalf("outage %+v, %d amendments, %d names", state.Outage, len(state.Amendments), len(state.Confirmations))
			}
			if told := strings.Join(state.Confirmations[1].Loss, "; "); !strings.Contains(told, older) {
				t.Errorf("the name was typed for the loss %q", told)
			}
		})
	}
}

// Somebody broke in: only the copy in an account of its own is offered, and its
// credentials end in the middle of the run.
func TestJourney_breakIn(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	front := startExpiring(t, server)
	for _, v := range voices {
		t.Run(v.name, func(t *testing.T) {
			front.expired.Store(false)
			s := newSite(t, "  nearby: {url: \"file://%s\"}\n  offsite: {url: \"s3://backups/shop\", region: "+storagetest.Region+", endpoint: \""+front.URL+"\", path_style: true, account: \"${BACKUP_ACCOUNT}\"}\n")
			s.passes(t)
			if err := os.Remove(filepath.Join(s.copied, "pages-1.tar")); err != nil {
				t.Fatal(err)
			}
			upload(t, server, s.copied)
			r := newRig(t)
			withKey(t, r)
			r.environ["BACKUP_ACCOUNT"] = storagetest.Root.AccessKey
			name := s.target(t)
			code := v.goes(t, r, s.dir, journey{
				{sees: []string{"WOULD IT SAVE US?", "site"}, keys: "enter", line: "1"},
				{sees: []string{"WHAT HAPPENED?", "offsite", "signing"}, keys: "4", line: "4"},
				{sees: []string{"Someone broke in", "left out: nearby", "OUTAGE BEGAN"}, keys: "enter", line: ""},
				{sees: []string{"GO BACK TO WHICH MOMENT?", "offsite", "LEFT OUT"}, keys: "down enter", line: "1"},
				{sees: []string{"To change LIVE, type the target"}, meanwhile: func() { front.expired.Store(true) }, keys: name + " enter", line: name},
				{sees: []string{"WAITS FOR YOU", "not a failure", "expired"}, meanwhile: func() { front.expired.Store(false) }, keys: "1 enter", line: "1"},
				{sees: []string{"WAITS FOR YOU", "Somebody has looked"}, keys: "down space", line: "1 done"},
				{sees: []string{"CAME BACK"}, keys: "q", line: "quit"},
			})
			if code != int(recovery.CameBack) {
				t.Errorf("exit %d", code)
			}
			if shows := s.shows(t); shows != "welcome, we sell mugs\n" {
				t.Errorf("the site shows %q", shows)
			}
			state := r.stateOf(t, filepath.Base(r.only(t)))
			if i := slices.IndexFunc(state.Steps, func(st recovery.StepState) bool { return st.Attempts == 2 }); i < 0 || state.Outage.How != "unknown" {
				t.Errorf("no step was tried again, or the outage is %+v", state.Outage)
			}
		})
	}
}

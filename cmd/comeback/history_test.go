package main

import (
	"testing"

	"comeback/recovery"
	"comeback/tui"
)

// What the console is told of the log is what has happened, with the tables'
// names, and how far the live server is.
func TestDesk_history(t *testing.T) {
	l, r := theShop(t), newRig(t)
	r.environ["DATABASE_URL"] = l.URL()
	book := runbook(t, "{url: \""+l.CopyURL()+"\"}", nil, "")
	d := &desk{app: r.app(nil, nil)}
	harm, harms := recovery.Transaction{}, 0
	var last recovery.Transaction
	n := 0
	for x, err := range d.Around(t.Context(), book, tui.Choice{Component: "database"}, recovery.Span{}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; !last.Time.IsZero() && x.LSN >= last.LSN {
			t.Fatalf("%s comes after %s", x.LSN, last.LSN)
		}
		last = x
		if x.XID == l.incident.Harm.XID {
			harm = x
		}
		harms += len(x.Harms())
	}
	if n < 200 || harms == 0 || len(harm.Tables) == 0 || harm.Tables[0].Name == "" {
		t.Errorf("%d transactions, %d harms, the harm: %+v", n, harms, harm)
	}
	live, err := d.Live(t.Context(), book, "database")
	if err != nil || live.At.IsZero() || live.Zone == "" {
		t.Errorf("live: %+v, %v", live, err)
	}
	if _, err := d.Live(t.Context(), book, "nothing"); err == nil {
		t.Error("an unknown component has a live server")
	}
}

// A runbook that was rehearsed is known on the first screen, wherever it lies.
func TestDesk_systems(t *testing.T) {
	l, r := theShop(t), newRig(t)
	book := runbook(t, "{url: \""+l.CopyURL()+"\"}", l.atDump, "")
	d := &desk{app: r.app(nil, nil)}
	if known, err := d.Systems(t.Context()); err != nil || len(known) != 0 {
		t.Fatalf("before: %v, %v", known, err)
	}
	if got := r.run(t.Context(), "rehearse", book, "--plain", "--to", l.dump); got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	if known, err := d.Systems(t.Context()); err != nil || len(known) != 1 || known[0].Runbook != book {
		t.Errorf("afterwards: %+v, %v", known, err)
	}
}

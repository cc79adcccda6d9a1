package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"comeback/recovery"

	"github.com/jackc/pgx/v5"
)

// Somebody deletes all orders of a shop, again and again, and each time they come
// back: some rows by a rescue, or the database to just before it, found by somebody
// who did not know what had happened; in the console and line by line.
func TestJourney_deleted(t *testing.T) {
	l := ownShop(t)
	name := target(t)
	goes := func(t *testing.T, j func(xid string) journey, goes func(*testing.T, *rig, string, journey, ...string) int) *recovery.State {
		t.Helper()
		want, xid := l.harmed(t)
		r := newRig(t).live(l)
		withKey(t, r)
		if code := goes(t, r, filepath.Dir(liveRunbook(t, l, nil)), j(xid)); code != int(recovery.CameBack) {
			t.Errorf("exit %d", code)
		}
		if n := l.ask(t, "select count(*) from orders"); len(n) < 3 || want != "" && n != want {
			t.Errorf("%s orders came back of %s", n, want)
		}
		state := r.stateOf(t, filepath.Base(r.only(t)))
		return &state
	}
	for _, v := range voices {
		t.Run("rows, "+v.name, func(t *testing.T) {
			harmed := rowsOf(t, l.URL())
			goes(t, func(xid string) journey {
				harmed = rowsOf(t, l.URL())
				return slices.Concat(
					journey{{sees: []string{"WOULD IT SAVE US?", "shop", "owes"}, keys: "enter", line: "1"}},
					toHarm("3", xid),
					journey{
						{sees: []string{"PLAN", "FOR REAL", "begin into scratch"}, keys: "enter", line: "enter"},
						{sees: []string{"WAITS FOR YOU", "Looked at the preview", "orders", "to insert"}, keys: "space", line: "1 done", meanwhile: func() {
							if !slices.Equal(rowsOf(t, l.URL()), harmed) {
								t.Error("live was changed before anybody has typed its name")
							}
						}},
						{sees: []string{"WAITS FOR YOU", "To change LIVE, type the target"}, keys: "shop enter", line: "shop"},
						{sees: []string{"is not the name of the target"}, keys: "clear " + name + " enter", line: name},
						{sees: []string{"CAME BACK"}, keys: "q", line: "quit"},
					})
			}, v.goes)
		})
	}
	for _, v := range voices {
		t.Run("not known and then all, "+v.name, func(t *testing.T) {
			state := goes(t, func(xid string) journey {
				return slices.Concat(
					journey{{sees: []string{"WOULD IT SAVE US?", "shop", "owes"}, keys: "enter", line: "1"}},
					toHarm("5", ""),
					journey{
						{sees: []string{"this way only looks", "LIVE: untouched"}, keys: "esc", line: "back"},
						{sees: []string{"LOOK INTO WHICH LOG?"}, keys: "esc", line: "back"},
					},
					toHarm("1", xid),
					journey{
						{sees: []string{"GONE FROM LIVE", "MORE EACH SECOND", "To change LIVE, type the target"}, keys: name + " enter", line: name},
						{sees: []string{"CAME BACK"}, keys: "q", line: "quit"},
					})
			}, v.goes)
			if len(state.Old) != 1 || len(state.Losses) != 1 || !state.Losses[0].Final {
				t.Errorf("old data %+v, losses %+v", state.Old, state.Losses)
			}
		})
	}
}

// harmed deletes all orders of the shop, and says how many there were and which
// transaction it was; "" where they are gone already.
func (l *lost) harmed(t *testing.T) (orders, xid string) {
	t.Helper()
	n := l.ask(t, "select count(*) from orders")
	if len(n) < 3 { // the shop's incident has not been undone yet
		return "", ""
	}
	conn, err := pgx.Connect(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.Conn().PgConn().Exec(t.Context(), "delete from order_items; delete from orders").ReadAll()
		return errors.Join(err, tx.QueryRow(t.Context(), "select pg_current_xact_id()::text").Scan(&xid))
	})
	if err := errors.Join(err, l.Archived(t.Context())); err != nil {
		t.Fatal(err)
	}
	return n, xid
}

// toHarm goes from a runbook's screen along a route to just before the harm, and
// on from there; by its number where one is given.
func toHarm(route, xid string) journey {
	j := journey{{sees: []string{"WHAT HAPPENED?", "nearby", "signing"}, keys: route, line: route}}
	if route != "5" {
		j = append(j, move{sees: []string{"OUTAGE BEGAN"}, keys: "~5_minutes_ago enter", line: "~5 minutes ago"})
	}
	asks, means := "GO BACK TO WHICH MOMENT?", []string{"moment: go back to here", "KEPT", "LOST"}
	switch route {
	case "3":
		asks, means = "LOOK INTO WHICH LOG?", []string{"rescue: what the next one did", "come back"}
	case "5":
		asks = "LOOK INTO WHICH LOG?"
	}
	j = append(j, move{sees: []string{asks, "window, no gap", "none is chosen for you"}, keys: "enter", line: "1"})
	if xid == "" {
		j = append(j, move{sees: []string{"NOTHING IS CHOSEN YET", "HARM", "read to its beginning"}, keys: "h", line: "h"})
	} else {
		j = append(j, move{sees: []string{"NOTHING IS CHOSEN YET", "HARM", "read to its beginning"}, keys: "t", line: "t"},
			move{sees: []string{"GO TO"}, keys: "before-xid:" + xid + " enter", line: "before-xid:" + xid})
	}
	return append(j, move{sees: means, keys: "enter", line: "enter"})
}

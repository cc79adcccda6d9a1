package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/recovery/rescue"
	"comeback/storage"
)

// lookLive reads the live targets of a recovery, side by side with nothing: each
// is a few queries. A rehearsal looks at none.
func (a *app) lookLive(ctx context.Context, b *book, mode recovery.Mode) ([]recovery.Live, error) {
	if mode != recovery.Recovery {
		return nil, nil
	}
	var all []recovery.Live
	for _, c := range plan.Switched(b.Runbook) {
		s, ok := switcher(switched(c.Kind, c.With))
		if !ok {
			continue // the planner refuses it in its own words
		}
		l, err := s.Look(ctx, c, plan.Copies(b.Runbook), b.secrets.Expand)
		if err != nil {
			return nil, fmt.Errorf("look at the live %s: %w", c.Name, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// logs are what tells what a moment loses and what harm it keeps.
func (a *app) logs(b *book, cat catalogue.Catalogue) plan.Logs {
	return plan.Logs{Runbook: b.Runbook, Catalogue: cat, Switchers: switchers(), Redact: a.redact, Zone: a.now().Location(),
		Open: func(ctx context.Context, s recovery.Survey) (recovery.Engine, storage.Store, error) {
			return a.openSurvey(ctx, b, s)
		},
		Names: func(ctx context.Context, component, address string, s recovery.Survey) (names recovery.Names, why error) {
			if url, err := b.secrets.Expand(address); err == nil && url != "" {
				names, why = namesOf(ctx, url)
			}
			return a.besideRestored(ctx, b, component, s, names), why
		}}
}

// namesOf are the names of a live server's relations; nil, and why, where it gives
// none: what is counted is then counted by numbers.
func namesOf(ctx context.Context, address string) (recovery.Names, error) {
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	names, err := readNames(ctx, address)
	if err != nil {
		return nil, err
	}
	return names, nil
}

// readNames asks a live server for the names of its relations.
func readNames(ctx context.Context, address string) (*scan.Map, error) {
	conn, err := postgres.ConnectLive(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return scan.ReadNames(ctx, conn)
}

// identifier reads the identity of a live target anew.
func identifier(expand func(string) (string, error)) func(context.Context, recovery.Target) (recovery.Identity, error) {
	return func(ctx context.Context, t recovery.Target) (recovery.Identity, error) {
		if t.Switches == rescue.Into {
			return rescue.Identify(ctx, t, expand)
		}
		s, ok := switcher(t.Switches)
		if !ok {
			return nil, recovery.Errorf("use the version of comeback that made the plan",
				"refused: this version knows no live targets of the kind %q", t.Switches).WithExit(recovery.Refused)
		}
		return s.Identify(ctx, t, expand)
	}
}

func switcher(kind recovery.ComponentKind) (recovery.Switcher, bool) {
	all := switchers()
	i := slices.IndexFunc(all, func(s recovery.Switcher) bool { return s.Kind() == kind })
	if i < 0 {
		return nil, false
	}
	return all[i], true
}

// saveNames writes the names of a live server's relations.
func saveNames(ctx context.Context, address string, w io.Writer) error {
	names, err := readNames(ctx, address)
	if err != nil {
		return err
	}
	return scan.EncodeNames(w, names)
}

// loadNames reads what saveNames has written.
func loadNames(r io.Reader) (recovery.Names, error) { return scan.DecodeNames(r) }

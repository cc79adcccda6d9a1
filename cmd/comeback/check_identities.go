package main

import (
	"context"
	"errors"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/files"
	"comeback/recovery/plan"
)

// gatherIdentities tells what would decrypt the encrypted components: whether it is at hand,
// and what their newest backups were encrypted for.
func gatherIdentities(ctx context.Context, b *book, cat catalogue.Catalogue) map[string]error {
	all := map[string]error{}
	for _, c := range plan.Components(b.Runbook) {
		switch {
		case c.Kind != recovery.Config:
		case c.Settings.Text("identity") == "" && c.Settings.Text("passphrase") == "":
			all[c.Name] = recovery.Errorf("give the component an `identity` in the runbook", "the runbook does not say what decrypts it")
		default:
			if all[c.Name] = files.Decrypts(c, b.secrets.Expand); all[c.Name] == nil {
				all[c.Name] = opensNewest(ctx, b, c, cat)
			}
		}
	}
	return all
}

// opensNewest holds what decrypts a component against the newest backup of it. Where that
// cannot be read, which is another finding, the newest of another copy is looked at.
func opensNewest(ctx context.Context, b *book, c recovery.Component, cat catalogue.Catalogue) error {
	looked := map[string]bool{}
	for _, e := range cat.Entries(c.Name) { // the newest first
		if e.Backup.Problem != "" || looked[e.Backup.Copy] {
			continue
		}
		looked[e.Backup.Copy] = true
		if err := opens(ctx, b, c, e.Backup); err == nil || errors.Is(err, recovery.ErrUnfit) {
			return err
		}
	}
	return nil
}

// opens reads the head of a backup in its copy.
func opens(ctx context.Context, b *book, c recovery.Component, backup recovery.Backup) error {
	for _, in := range plan.Copies(b.Runbook) {
		if in.Name == backup.Copy {
			store, err := opener(b.secrets)(ctx, in)
			if err != nil {
				return err
			}
			return files.Opens(ctx, c, backup, store, b.secrets.Expand)
		}
	}
	return nil
}

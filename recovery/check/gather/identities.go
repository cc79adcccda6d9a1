package gather

import (
	"context"
	"errors"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/files"
	"comeback/recovery/plan"
)

// identities tells what would decrypt the encrypted components: whether it is at hand,
// and what their newest backups were encrypted for.
func (o Options) identities(ctx context.Context, cat catalogue.Catalogue) map[string]error {
	all := map[string]error{}
	for _, c := range plan.Components(o.Runbook) {
		switch {
		case c.Kind != recovery.Config:
		case c.Settings.Text("identity") == "" && c.Settings.Text("passphrase") == "":
			all[c.Name] = recovery.Errorf("give the component an `identity` in the runbook", "the runbook does not say what decrypts it")
		default:
			if all[c.Name] = files.Decrypts(c, o.Expand); all[c.Name] == nil {
				all[c.Name] = o.opensNewest(ctx, c, cat)
			}
		}
	}
	return all
}

// opensNewest holds what decrypts a component against the newest backup of it. Where that
// cannot be read, which is another finding, the newest of another copy is looked at.
func (o Options) opensNewest(ctx context.Context, c recovery.Component, cat catalogue.Catalogue) error {
	looked := map[string]bool{}
	for _, e := range cat.Entries(c.Name) { // the newest first
		if e.Backup.Problem != "" || looked[e.Backup.Copy] {
			continue
		}
		looked[e.Backup.Copy] = true
		if err := o.opens(ctx, c, e.Backup); err == nil || errors.Is(err, recovery.ErrUnfit) {
			return err
		}
	}
	return nil
}

// opens reads the head of a backup in its copy.
func (o Options) opens(ctx context.Context, c recovery.Component, backup recovery.Backup) error {
	for _, in := range plan.Copies(o.Runbook) {
		if in.Name == backup.Copy {
			store, err := o.Open(ctx, in)
			if err != nil {
				return err
			}
			return files.Opens(ctx, c, backup, store, o.Expand)
		}
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/shop"
)

// build opens the shop and makes its backups.
func (d *demo) build(ctx context.Context, scale int) error {
	if err := d.place.make(); err != nil {
		return err
	}
	key, err := report.CreateKey(filepath.Join(d.place.home(), ".ssh", "id_ed25519"), demoIdentity)
	if err != nil {
		return err
	}
	d.key = key
	d.tell.heading("THE SHOP", "live, with its own PostgreSQL server")
	d.shop, err = shop.Open(ctx, shop.Options{Dir: d.place.shop, Scale: scale, Seed: 1, Now: d.now,
		Log: func(text string) { d.tell.done(text) }})
	if err != nil {
		return err
	}
	if err := d.shop.LetSwitch(ctx); err != nil { // so that it can be tried
		return err
	}
	if err := d.shop.Furnish(ctx); err != nil {
		return err
	}
	d.tell.done("uploads, configuration with secrets, and an application that is deployed")
	if err := d.shop.StartWrites(demoRate); err != nil {
		return err
	}
	d.tell.done(fmt.Sprintf("customers: %d orders a second from now on", demoRate))

	d.tell.heading("ITS BACKUPS", "as most people make them, in "+d.shop.Copy())
	dump, err := d.shop.Dump(ctx)
	if err != nil {
		return err
	}
	d.tell.made("dump", dump, filepath.Join(d.shop.Copy(), dump), "pg_dump | gzip")
	base, err := d.shop.Backup(ctx, shop.BackupOptions{})
	if err != nil {
		return err
	}
	d.tell.made("base", base, filepath.Join(d.shop.Copy(), base), "pg_basebackup")
	d.tell.done("log    wal/, every segment as soon as it is full")
	if err := d.makeIdentity(); err != nil {
		return err
	}
	if err := d.backupFiles(ctx); err != nil {
		return err
	}
	d.tell.done("code   code/, a git bundle and a line for each deploy")
	if err := d.shop.Write(ctx, 200); err != nil {
		return err
	}
	if _, err := d.shop.Deploy(ctx, "the second version"); err != nil {
		return err
	}
	if err := d.writeDocuments(); err != nil {
		return err
	}
	return d.shop.Write(ctx, 20)
}

// makeIdentity makes what decrypts the configuration's backups.
func (d *demo) makeIdentity() error {
	identity, err := age.GenerateX25519Identity()
	if err == nil {
		err = os.WriteFile(d.place.identity(), []byte(identity.String()+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("make a key for the configuration: %w", err)
	}
	d.recipient = identity.Recipient().String()
	return nil
}

// backupFiles makes snapshots and tells of them.
func (d *demo) backupFiles(ctx context.Context) error {
	uploads, config, err := d.shop.BackupFiles(ctx, d.recipient)
	if err != nil {
		return err
	}
	d.tell.done(fmt.Sprintf("files  uploads/, a snapshot of %d files, %s", uploads.Files, recovery.FormatBytes(uploads.Bytes)))
	d.tell.done(fmt.Sprintf("config config/, a snapshot of %d files, encrypted with age", config.Files))
	return nil
}

// writeDocuments writes the runbook, and what it needs.
func (d *demo) writeDocuments() error {
	noNetwork := isolation.Available()
	text, err := d.shop.Runbook(shop.RunbookOptions{NoShell: noNetwork != nil, Whole: true, Recipients: []string{d.recipient}})
	if err != nil {
		return err
	}
	if noNetwork != nil {
		d.tell.done("this host gives no network namespace, so the runbook has no shell check")
	}
	if err := os.WriteFile(d.place.runbook(), text, 0o600); err != nil {
		return fmt.Errorf("write the runbook: %w", err)
	}
	if err := os.WriteFile(d.place.env(), d.place.exports(), 0o600); err != nil {
		return fmt.Errorf("write what to export: %w", err)
	}
	return nil
}

// incident ruins the shop, lets it go on for a while, and sees to it that the
// log of it all is in the copy.
func (d *demo) incident(ctx context.Context) (shop.Incident, error) {
	// The hourly snapshot is made, and nobody writes until it happens.
	if err := d.shop.StopWrites(); err != nil {
		return shop.Incident{}, err
	}
	if _, _, err := d.shop.BackupFiles(ctx, d.recipient); err != nil {
		return shop.Incident{}, err
	}
	i, err := d.shop.Incident(ctx)
	if err != nil {
		return shop.Incident{}, err
	}
	damage, err := d.shop.Vandalize(ctx)
	if err != nil {
		return shop.Incident{}, err
	}
	// What the next snapshot holds is ruined already.
	if _, _, err := d.shop.BackupFiles(ctx, d.recipient); err != nil {
		return shop.Incident{}, err
	}
	if err := d.shop.StartWrites(demoRate); err != nil {
		return shop.Incident{}, err
	}
	if err := d.shop.Write(ctx, 30); err != nil {
		return shop.Incident{}, err
	}
	if err := d.shop.Archived(ctx); err != nil {
		return shop.Incident{}, err
	}
	d.tell.incident(i, damage, d.shop.Counts()["orders"])
	return i, nil
}

// rehearseDemo rehearses without a person and prints each transition.
func (d *demo) rehearseDemo(ctx context.Context, c choices) error {
	b, problems, err := d.open(ctx, d.place.runbook())
	if err != nil {
		return err
	}
	say := &plainWriter{out: d.out, now: d.now, redact: d.redact}
	for _, p := range problems {
		if p.OfRecovery {
			continue
		}
		say.line("", "line %d: warning: %s; %s", p.Line, p.Says, p.Do)
	}
	cat, err := d.survey(ctx, b, nil)
	if err != nil {
		return err
	}
	p, err := d.plan(ctx, b, cat, c)
	if err != nil {
		return err
	}
	run, err := d.start(ctx, b, p, inLines.terminal(), runner.Launch{Unattended: true})
	if err != nil {
		return err
	}
	defer run.Close()
	if err := say.follow(ctx, run); err != nil {
		return err
	}
	r, err := d.load(p.Run)
	if err == nil && r.State.Exit != recovery.CameBack {
		err = &exitError{r.State.Exit}
	}
	return err
}

// publish signs the report of the newest run that has ended and copies its
// directory to DIR/report, in the place of an earlier demo's. It reports false
// where there was no run.
func (d *demo) publish(ctx context.Context) (runner.Past, bool, error) {
	home, err := d.app.home()
	if err != nil {
		return runner.Past{}, false, err
	}
	runs, err := home.List()
	if err != nil {
		return runner.Past{}, false, err
	}
	for _, r := range runs {
		if r.Problem != nil || r.State.Result == "" {
			continue
		}
		if !r.Signed {
			signer, err := d.key.Signer(ctx, nil)
			if err != nil {
				return runner.Past{}, false, err
			}
			if _, err := report.Sign(ctx, r.Dir, signer); err != nil {
				return runner.Past{}, false, err
			}
		}
		line, err := report.AllowedSigner(demoIdentity, d.key)
		if err != nil {
			return runner.Past{}, false, err
		}
		return r, true, d.place.keepReport(r.Dir, line)
	}
	return runner.Past{}, false, nil
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/cnpg"
	"comeback/recovery/code"
	"comeback/recovery/commands"
	"comeback/recovery/dump"
	"comeback/recovery/execute"
	"comeback/recovery/files"
	"comeback/recovery/files/bucket"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/backrest"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/pitr/walg"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/recovery/rds"
	"comeback/recovery/rescue"
	"comeback/recovery/runner"
	"comeback/recovery/switchover"
	"comeback/recovery/trees"
	"comeback/recovery/verify"
	"comeback/runbooks"
)

// engines lists every engine. A new one is one more line here.
func engines() []recovery.Engine {
	return []recovery.Engine{
		dump.New(dump.Options{}),
		pitr.New(pitr.Options{Exe: executable()}),
		backrest.New(backrest.Options{Options: pitr.Options{Exe: executable()}, Expand: execute.NewSecrets(os.LookupEnv, nil).Expand}),
		walg.New(walg.Options{Options: pitr.Options{Exe: executable()}, Expand: execute.NewSecrets(os.LookupEnv, nil).Expand}),
		files.New(files.Options{Expand: execute.NewSecrets(os.LookupEnv, nil).Expand}),
		files.NewConfig(files.Options{Expand: execute.NewSecrets(os.LookupEnv, nil).Expand}),
		bucket.New(bucket.Options{Rows: verify.Rows, Listings: listings}),
		files.NewRestic(files.Options{Expand: execute.NewSecrets(os.LookupEnv, nil).Expand}),
		code.New(code.Options{}),
		cnpg.New(cnpg.Options{Expand: execute.NewSecrets(os.LookupEnv, nil).Expand}),
		rds.New(rds.Options{Expand: execute.NewSecrets(os.LookupEnv, nil).Expand}),
		commands.New(recovery.Postgres, commands.Options{Expand: execute.NewSecrets(os.LookupEnv, nil).Expand}),
		commands.New(recovery.Files, commands.Options{Expand: execute.NewSecrets(os.LookupEnv, nil).Expand}),
	}
}

// listings is where what a bucket had at a moment waits for its restore; a variable,
// because tests have states of their own.
var listings = func() (string, error) {
	home, err := runner.FindHome(os.LookupEnv)
	if err != nil {
		return "", err
	}
	return home.Listings()
}

// switchers lists what brings restored components live, one for a kind of target.
func switchers() []recovery.Switcher {
	inRDS, inKubernetes, byCommand := rds.NewSwitcher(rds.Options{}), cnpg.NewSwitcher(cnpg.Options{}), commands.NewSwitcher(commands.Options{})
	return []recovery.Switcher{trees.New(), trees.Beside(recovery.Config), trees.Beside(recovery.Code), bucket.NewSwitcher(openCopy), inRDS, inKubernetes, byCommand,
		switchover.New(switchover.Options{Engines: engines, SaveNames: saveNames, LoadNames: loadNames, OpenCopy: openCopy,
			Elsewhere: map[string]switchover.Elsewhere{rds.Name: inRDS, cnpg.Name: inKubernetes, commands.Name: byCommand}})}
}

// switched is the kind of target that a component is live in: that of the component,
// but a bucket for what an engine of buckets brings back, and RDS or CloudNativePG for what is there.
func switched(kind recovery.ComponentKind, engine string) recovery.ComponentKind {
	switch engine {
	case bucket.Name:
		return bucket.Live
	case rds.Name:
		return rds.Live
	case cnpg.Name:
		return cnpg.Live
	}
	return kind
}

// takesPlace finds what puts a component in the place of what is live; one that is only
// handed over takes none, and instead is what to write then.
func takesPlace(kind recovery.ComponentKind, engine string) (instead string, can bool) {
	s, ok := switcher(switched(kind, engine))
	if !ok {
		return "leave it out of the `switch:`, and bring it back by hand", false
	}
	if b, only := s.(recovery.Bystander); only {
		return b.Instead(), false
	}
	return "", true
}

// executable is this program, which runs runs and which restored servers ask for WAL;
// a variable, because tests under the race detector have one without it.
var executable = func() string {
	exe, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return exe
}

// kinds are the kinds of steps that runs may use.
func kinds() []recovery.Kind {
	all := []recovery.Kind{verify.SQLCheck{}, verify.SQLWait{}, verify.FilesCheck{}, soundCheck(), verify.HTTPCheck{}}
	for _, e := range engines() {
		all = append(all, e.Kinds()...)
	}
	for _, s := range switchers() {
		all = append(all, s.Kinds()...)
	}
	return append(all, rescue.Kinds()...)
}

// soundCheck looks at restored databases, and at the log that led to them.
func soundCheck() verify.SoundCheck {
	return verify.SoundCheck{
		Changers: func(engine string) (recovery.Changer, bool) {
			e, _ := recovery.EngineNamed(engines(), engine)
			changer, ok := e.(recovery.Changer)
			return changer, ok
		},
		Names: func(ctx context.Context, conn *pgx.Conn) (recovery.Names, error) { return scan.ReadNames(ctx, conn) },
	}
}

// releasers give back what steps claim.
func releasers(now func() time.Time, expand func(string) (string, error)) []recovery.Releaser {
	all := []recovery.Releaser{postgres.ReleaseCluster{Now: now}, backup.NewReleaser(openCopy, expand), commands.Releaser{Expand: expand},
		rescue.Releaser{Expand: expand}}
	for _, s := range switchers() {
		all = append(all, s.Releasers(expand)...)
	}
	return all
}

// vocabulary is what the linter holds runbooks to.
func vocabulary() runbooks.Vocabulary {
	v := runbooks.Vocabulary{Expect: func(text string) error {
		_, err := verify.ParseExpectation(text)
		return err
	}, Alike: func(a, b runbooks.Component) (string, string) {
		return recovery.Alike(plan.Component(a), plan.Component(b))
	}}
	for _, e := range engines() {
		s := e.Schema()
		schema := runbooks.Schema{Engine: s.Engine, Kind: string(s.Kind)}
		schema.Instead, schema.Switches = takesPlace(s.Kind, s.Engine)
		taker, takes := e.(recovery.Capturer)
		for _, k := range s.Keys {
			if k.Name == "backup" && takes {
				k.Check = recovery.OneOf(append(taker.Takes(), "none")...)
			}
			schema.Keys = append(schema.Keys, keyOf(k))
		}
		if takes {
			schema.Keys = append(schema.Keys, keyOf(recovery.Key{Name: "retain", Doc: "how many of comeback's own backups stay in each copy; everything if it is missing", Example: "[14 daily, 8 weekly, 12 monthly]", List: true,
				Check: backup.CheckKeep}))
		}
		for _, s := range switchers() {
			if s.Kind() != switched(recovery.ComponentKind(schema.Kind), schema.Engine) {
				continue
			}
			for _, k := range s.Keys() {
				if k.Name == "keep" {
					k.Check = plan.CheckKeep
				}
				schema.Keys = append(schema.Keys, keyOf(k))
			}
		}
		v.Engines = append(v.Engines, schema)
	}
	return v
}

// keyOf is an engine's key as the linter takes it.
func keyOf(k recovery.Key) runbooks.Key {
	key := runbooks.Key{Name: k.Name, Doc: k.Doc, Example: k.Example, Required: k.Required, List: k.List, Command: k.Command, Program: k.Program}
	if k.Check != nil {
		key.Check = func(value string) (what, do string) {
			err := k.Check(value)
			if err == nil {
				return "", ""
			}
			return err.Error(), cmp.Or(recovery.HintOf(err), fmt.Sprintf("write it like `%s: %s`", k.Name, k.Example))
		}
	}
	return key
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
	"comeback/storage"

	"github.com/spf13/cobra"
)

// walSaved is what `comeback wal save` was asked for.
type walSaved struct {
	runbook, component string
	// from is a pg_wal, copy where to save it.
	from, copy string
}

func (a *app) walSaveCommand() *cobra.Command {
	var o walSaved
	cmd := &cobra.Command{
		Use: "save RUNBOOK --from PGWAL_DIR [COMPONENT]", Short: "Save the log that a dead server had not archived",
		Long: `Saves into a copy what its archive lacks of the log in the pg_wal directory of a
server that has stopped or died: whole segments under their own names, the last
one, up to where it was filled, as NAME.partial. The commits that the archiver had
not taken yet can then be restored like all others.

The directory is only read. Nothing in the copy is overwritten: what is there with
the same bytes is as good, with others it is refused. Doing it again is harmless.
Do this before anything else writes on that host.

Exit codes:
  0    saved, or the copy has all of it already
  1    the copy cannot be read or written
  2    the command, the runbook or its environment is wrong, or the directory cannot
       be read or holds no log
  3    refused: the log is of another cluster, the copy holds other bytes, or another
       program (with: pgbackrest, with: wal-g) keeps the component's log
  130  interrupted; what was saved until then is told`,
		Example: `  comeback wal save shop.md --from /var/lib/postgresql/15/main/pg_wal
  comeback wal save shop.md database --from /mnt/olddisk/pg_wal --copy offsite`,
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return usage("write: comeback wal save RUNBOOK --from PGWAL_DIR", "comeback wal save needs RUNBOOK")
			case 1, 2:
				return nil
			}
			return usage("write: comeback wal save RUNBOOK --from PGWAL_DIR [COMPONENT]", "comeback wal save takes a RUNBOOK and a COMPONENT, not %d words", len(args))
		},
		ValidArgsFunction: a.runbookComponent,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.runbook = args[0]; len(args) == 2 {
				o.component = args[1]
			}
			if o.from == "" {
				return usage("add for example --from /var/lib/postgresql/15/main/pg_wal", "comeback wal save needs --from")
			}
			return a.walSave(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.from, "from", "", "the server's pg_wal `DIRECTORY`")
	cmd.Flags().StringVar(&o.copy, "copy", "", "save it into this `COPY` (default the one whose log goes on for longest)")
	if err := cmd.MarkFlagDirname("from"); err != nil {
		panic("wal save: " + err.Error()) // the flag is there, two lines above
	}
	return cmd
}

func (a *app) walSave(ctx context.Context, o walSaved) error {
	b, _, err := a.openFollowed(ctx, o.runbook)
	if err != nil {
		return err
	}
	c, err := theDatabase(b, o.component, "behind the runbook")
	if err != nil {
		return err
	}
	if _, ok := b.Copy(o.copy); o.copy != "" && !ok {
		return usage("choose one of the runbook's copies", "the runbook has no copy %q", o.copy)
	}
	engine, saver, err := tailSaver(c, engines())
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(o.from)
	if err != nil {
		return fmt.Errorf("find %s: %w", o.from, err)
	}
	if _, err := os.ReadDir(dir); err != nil { // before the copies are asked, which may take long
		return usage("give the pg_wal of the server's data directory, and let this program read it", "read the log: %w", err)
	}
	if o.copy == "" {
		cat, err := a.surveyShown(ctx, b, true)
		if err != nil {
			return err
		}
		s, ok := cat.Only("", engine).NewestLog(c.Name) // another program's log cannot be gone on from
		if !ok {
			return recovery.Errorf("say which with --copy", "no copy holds a log of %s that this one goes on from", c.Name).WithExit(recovery.Refused)
		}
		o.copy = s.Copy
	}
	store, err := openNamed(ctx, b, o.copy)
	if err != nil {
		return err
	}
	show := newTailMeter(a)
	t, err := saver.SaveTail(ctx, recovery.TailOptions{Component: c, Copy: o.copy, Store: store, Dir: dir, Progress: show.progress})
	show.end()
	for _, key := range t.Saved {
		fmt.Fprintf(a.out, "saved  %s\n", clean(key))
	}
	if err != nil {
		return catalogue.Explain(err, o.copy)
	}
	fmt.Fprintf(a.out, "%s in %s: %s\n", c.Name, o.copy, t.Says())
	return nil
}

// byFlag is how commands of archive_command and restore_command are told the component.
const byFlag = "with --component"

// theDatabase is the component that was named, or the only one there is; how is where
// it is named.
func theDatabase(b *book, named, how string) (recovery.Component, error) {
	all := plan.RestoredDatabases(b.Runbook)
	i := slices.IndexFunc(all, func(c recovery.Component) bool { return c.Name == named })
	switch {
	case i >= 0:
		return all[i], nil
	case named != "":
		return recovery.Component{}, usage("name a component of kind postgres", "the runbook brings back no database %q", named)
	case len(all) != 1:
		return recovery.Component{}, usage("name the component, "+how, "the runbook brings back %s", count(int64(len(all)), "database"))
	}
	return all[0], nil
}

// openNamed opens one of the runbook's copies.
func openNamed(ctx context.Context, b *book, name string) (storage.Store, error) {
	for _, c := range plan.Copies(b.Runbook) {
		if c.Name == name {
			return opener(b.secrets)(ctx, c)
		}
	}
	return nil, fmt.Errorf("open %s: the runbook has no such copy", name)
}

// tailSaver is the engine of a component that saves logs, with its name.
func tailSaver(c recovery.Component, engines []recovery.Engine) (string, recovery.TailSaver, error) {
	for _, e := range catalogue.For(c, engines) {
		if s, ok := e.(recovery.TailSaver); ok {
			return e.Schema().Engine, s, nil
		}
	}
	return "", nil, recovery.Errorf("keep the server's pg_wal; if another program archives its log, let that push from there what is missing",
		"the runbook says that backups of %s are `with: %s`, to which no log can be saved", c.Name, c.With).WithExit(recovery.Refused)
}

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// SoundCheck is the kind of step that asks a restored database for what nobody
// should have to write down: indexes that are valid, foreign keys that hold,
// sequences that are ahead of their columns, collations and extensions of this host,
// pages and B-trees that amcheck finds whole, checksums; and that each table has the
// rows that were recorded with the backup.
type SoundCheck struct {
	// Changers are the engines whose log can be read for what was done between a
	// base backup and a moment, by their names.
	Changers func(engine string) (recovery.Changer, bool)
	// Names gives the names of the relations of a restored server.
	Names func(ctx context.Context, conn *pgx.Conn) (recovery.Names, error)
}

var _ recovery.Kind = SoundCheck{}

// Name is recovery.KindSoundCheck.
func (SoundCheck) Name() string { return recovery.KindSoundCheck }

// Restart says that a check may be made again.
func (SoundCheck) Restart() recovery.Restart { return recovery.Repeat }

// sound is one thing to look at; ask lists what is wrong and counts what was
// looked at. Lacks, where it is set, says afterwards what could not be looked at.
type sound struct {
	name  string
	ask   func(context.Context, pgx.Tx) (wrong []string, looked int, err error)
	lacks func(context.Context, pgx.Tx) (says string, err error)
}

// sounds are what can be asked for, in the order in which they are looked at.
var sounds = []sound{
	{name: "indexes", ask: invalidIndexes}, {name: "foreign keys", ask: brokenKeys}, {name: "sequences", ask: lateSequences},
	{name: "collations", ask: otherCollations}, {name: "extensions", ask: otherExtensions}, {name: "checksums", ask: badChecksums},
	{name: "amcheck", ask: brokenTrees, lacks: withoutHeaps},
}

// Do looks at everything that the step asks for, and tells of all that is wrong.
// The transaction is rolled back, whatever it has done.
func (k SoundCheck) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args recovery.SoundCheckArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	result := recovery.CheckResult{Name: args.Name, Query: "looks at " + strings.Join(args.Sound, ", "), Expected: "nothing wrong"}
	o := recovery.Outcome{Check: &result, Facts: map[string]string{}}
	limit := time.Duration(s.Budget)
	if limit <= 0 {
		limit = queryTimeout
	}
	wrong, err := k.look(ctx, env, args, limit, &o)
	if why := notCompared(""); errors.As(err, &why) {
		o.Check, o.Says = nil, fmt.Sprintf("not checked: %s: %s", args.Name, err)
		o.Exceptions = []string{o.Says}
		return o, nil
	}
	if err != nil {
		err = notRunning(err, args.On)
		result.Found = "an error: " + shorten(err.Error(), maxFound)
		hint := recovery.HintOf(err)
		if hint == "" {
			hint = hintFor(err)
		}
		return o, recovery.Errorf(hint, "check %q: %w", args.Name, err)
	}
	result.Held, result.Found = len(wrong) == 0, "nothing wrong"
	if !result.Held {
		result.Found = shorten(strings.Join(wrong, "; "), maxFound)
	}
	o.Says = fmt.Sprintf("expected nothing wrong with %s, found %s", strings.Join(args.Sound, ", "), result.Found)
	if !result.Held {
		return o, recovery.Errorf("look at the restored data; what is wrong in the backup was wrong before, or came with this host", "check %q: %s", args.Name, result.Found)
	}
	return o, nil
}

func (k SoundCheck) look(ctx context.Context, env recovery.Env, args recovery.SoundCheckArgs, limit time.Duration, o *recovery.Outcome) (wrong []string, err error) {
	b, ok := env.Binding(args.On)
	if !ok {
		return nil, recovery.Errorf("restore it in a stage before the check", "not checked: %s has no address", args.On)
	}
	url, err := resolved(env, b)
	if err != nil {
		return nil, err
	}
	config, err := connection(url, !b.Scratch, limit)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	options := pgx.TxOptions{AccessMode: pgx.ReadOnly}
	if b.Scratch {
		options = pgx.TxOptions{}
		// amcheck is made for the while, and rolled back.
		config.RuntimeParams["default_transaction_read_only"] = "off"
	}
	conn, err := connect(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := begin(ctx, conn, !b.Scratch, limit, options)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // nothing is to stay
	for _, s := range sounds {
		if !slices.Contains(args.Sound, s.name) {
			continue
		}
		env.Meter().Phase("look at "+s.name+" of "+args.On, 0, recovery.NoUnit)
		found, looked, err := s.ask(ctx, tx)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", s.name, explain(err, "", limit))
		}
		o.Facts[s.name] = fmt.Sprintf("%d looked at, %d wrong", looked, len(found))
		wrong = append(wrong, found...)
		if s.lacks == nil {
			continue
		}
		says, err := s.lacks(ctx, tx)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", s.name, explain(err, "", limit))
		}
		if says != "" {
			o.Remarks = append(o.Remarks, s.name+": "+says)
		}
	}
	if args.Record != nil {
		env.Meter().Phase("hold "+args.On+" against the record of its backup", 0, recovery.NoUnit)
		found, looked, err := k.otherTables(ctx, env, tx, args)
		if err != nil {
			return nil, err
		}
		o.Facts[recovery.SoundRecord] = fmt.Sprintf("%d looked at, %d wrong", looked, len(found))
		wrong = append(wrong, found...)
	}
	return wrong, nil
}

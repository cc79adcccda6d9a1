package dump_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/storage"
)

// earlySQL is a database of which indexes may be built while the rows of its last table come.
const earlySQL = `create table public.a (id integer not null, note text not null, words text);
	insert into public.a select n, 'note ' || n, 'some words ' || n from generate_series(1, 3000) n;
	alter table public.a add primary key (id); alter table public.a add constraint a_note unique (note);
	create index a_words on public.a using gin (to_tsvector('simple', words)); create unique index a_both on public.a (id, note);
	create index a_more on public.a using gin (to_tsvector('simple', note));
	alter table public.a cluster on a_both; alter table public.a replica identity using index a_both; comment on index public.a_words is 'words';
	comment on constraint a_note on public.a is 'notes';
	create table public.parent (id integer not null, at date not null, primary key (id, at)) partition by range (at);
	create table public.leaf partition of public.parent for values from ('2026-01-01') to ('2026-02-01');
	create table public.leaf_rest partition of public.parent default;
	insert into public.parent select n, '2026-01-01'::date + n % 60 from generate_series(1, 3000) n;
	create index parent_at on public.parent (at);
	create table public.refers (a integer references public.a, note text); insert into public.refers select n, n from generate_series(1, 1000) n;
	create table public.zz (id integer primary key, note text); insert into public.zz select n, 'the last table ' || n from generate_series(1, 8000) n;
	grant select on public.a to reporting`

// slowly is an environment in which the rows of the last table come slowly until an index is
// being built; edit changes lines of what pg_restore writes.
type slowly struct {
	plainEnv
	t     *testing.T
	edit  func(string) string
	once  sync.Once
	built chan struct{}
}

func newSlowly(t *testing.T, store storage.Store, edit func(string) string) *slowly {
	if edit == nil {
		edit = func(line string) string { return line }
	}
	return &slowly{plainEnv: plainEnv{store: store}, t: t, edit: edit, built: make(chan struct{})}
}

func (e *slowly) Meter() recovery.Meter { return notes{e: e} }

type notes struct {
	noMeter
	e *slowly
}

func (n notes) Note(says string) {
	if strings.HasPrefix(says, "CREATE ") || strings.HasPrefix(says, "ALTER TABLE ") {
		n.e.once.Do(func() { close(n.e.built) })
	}
}

func (e *slowly) Command(ctx context.Context, c recovery.Cmd) error {
	if c.Stdin == nil { // it is not the one that writes rows
		return e.plainEnv.Command(ctx, c)
	}
	out, in := io.Pipe()
	copied, to := make(chan error, 1), c.Stdout
	go func() {
		err := e.copy(to, out)
		out.CloseWithError(err)
		copied <- err
	}()
	c.Stdout = in
	err := e.plainEnv.Command(ctx, c)
	in.Close()
	if copy := <-copied; err == nil {
		err = copy
	}
	return err
}

// copy copies a script, line by line; of the last table a few, and then as many as it takes
// the server to answer.
func (e *slowly) copy(w io.Writer, r io.Reader) error {
	in, out := bufio.NewReader(r), bufio.NewWriterSize(w, 1<<10)
	last := false
	for {
		line, err := in.ReadString('\n')
		if err != nil && line == "" {
			return out.Flush()
		}
		last = last || strings.HasPrefix(line, "COPY public.zz ")
		if _, err := out.WriteString(e.edit(line)); err != nil {
			return err
		}
		if !last || out.Available() > 100 {
			continue
		}
		select {
		case <-e.built:
		default:
			if err := round(e.t.Context()); err != nil {
				return err
			}
		}
	}
}

// round waits for an answer of the server.
func round(ctx context.Context) error {
	conn, err := empty.Connect(ctx, "postgres")
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Of an archive indexes and keys are built while rows of other tables come, as soon as their
// own are in, and what comes is what the source has. What its script says otherwise than
// what was foreseen is what counts.
func TestRestore_EarlyArchive(t *testing.T) {
	defer dump.SetPieces(500, 4_000)()
	filled(t, "early", earlySQL)
	archive := dumpOf(t, "early", "--format=custom")
	wantSchema, wantRows := schema(t, source.URL("early")), digests(t, source.URL("early"))
	before := func(begins, more string) func(string) string {
		return func(line string) string {
			if strings.HasPrefix(line, begins) {
				return more + line
			}
			return line
		}
	}
	const more, right = "CREATE INDEX a_more ON public.a USING gin (to_tsvector('simple'::regconfig, note));\n", "GRANT SELECT ON TABLE public.a TO reporting;\n"
	const always, never = "always", "never"
	for name, test := range map[string]struct {
		edit  func(string) string
		early string // whether something is built while rows come, where that is certain
		says  string
	}{
		"as foreseen":           {nil, always, ""},
		"something in between":  {before("CREATE INDEX a_words ", "ALTER TABLE public.zz SET (fillfactor = 90);\nALTER TABLE public.zz RESET (fillfactor);\n"), "", ""},
		"a setting in between":  {before("ALTER TABLE ONLY public.a\n", "SET datestyle = 'ISO, DMY';\n"), never, ""},
		"not there":             {func(line string) string { return strings.TrimSuffix(strings.TrimSuffix(line, more), right) }, "", ""}, // nothing unknown comes
		"a key of a note twice": {func(line string) string { return strings.Replace(line, "7\tnote 7\t", "7\tnote 8\t", 1) }, "", `ALTER TABLE ONLY public.a ADD CONSTRAINT a_note UNIQUE (note): could not create unique index "a_note"`},
		"and wrong rows behind": {func(line string) string {
			return strings.Replace(strings.Replace(line, "7\tnote 7\t", "7\tnote 8\t", 1), "8000\tthe last", "bad\tthe last", 1)
		}, "", "COPY public.zz (id, note) FROM stdin: invalid input syntax"},
	} {
		want := wantSchema
		if name == "not there" {
			want = regexp.MustCompile(`--\n-- Name: (a_more; Type: INDEX|TABLE a; Type: ACL);.*\n--\n\n.*\n\n\n`).ReplaceAllString(want, "")
		}
		bySessions(t, name, func(t *testing.T, sessions int) {
			defer program(t, "psql", "-X", "-q", "-d", empty.URL("postgres"), "-c", "drop database if exists early with (force)") // an archive has its database's name
			store := directory(t, map[string][]byte{"a.dump": archive})
			o, err := intoBy(t, newSlowly(t, store, test.edit), empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, store)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("it says %v, want %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			url := o.Bindings[0].URL
			if diff := cmp.Diff(want, schema(t, url)); diff != "" {
				t.Errorf("the schema differs (-source +comeback):\n%s", diff)
			}
			if diff := cmp.Diff(wantRows, digests(t, url)); diff != "" {
				t.Errorf("the rows differ (-source +comeback):\n%s", diff)
			}
			if early := strings.Contains(o.Facts["statements"], " while rows came"); early && test.early == never || !early && test.early == always {
				t.Errorf("statements: %s", o.Facts["statements"])
			}
		})
	}
}

// slowStore gives scripts as slowly as slowly gives those of archives.
type slowStore struct {
	storage.Store
	e *slowly
}

func (s slowStore) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	in, err := s.Store.Open(ctx, o, offset)
	if err != nil || offset > 0 {
		return in, err
	}
	out, slow := io.Pipe()
	go func() {
		slow.CloseWithError(s.e.copy(slow, in))
		in.Close()
	}()
	return out, nil
}

// The same is so of a script whose end can be read before its rows; a failure is told with
// its line, and is the first one of the script.
func TestRestore_EarlyScript(t *testing.T) {
	defer dump.SetPieces(500, 4_000)()
	filled(t, "early", earlySQL)
	content := strings.Replace(string(dumpOf(t, "early")), "\nSET ", strings.Repeat("\n", 4<<20)+"\nSET ", 1) // its end is not all of it
	lineOf := func(content, of string) string {
		return fmt.Sprintf("line %d: ", 1+strings.Count(content[:strings.Index(content, of)], "\n"))
	}
	twice := strings.Replace(content, "\n7\tnote 7\t", "\n7\tnote 8\t", 1)
	wrong := strings.Replace(twice, "\n8000\tthe last", "\nbad\tthe last", 1)
	for name, test := range map[string]struct{ content, says string }{
		"as it says":            {content, ""},
		"a key of a note twice": {twice, lineOf(twice, "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_note") + "ALTER TABLE ONLY public.a ADD CONSTRAINT a_note"},
		"and wrong rows behind": {wrong, lineOf(wrong, "bad\tthe last") + "COPY public.zz"},
	} {
		bySessions(t, name, func(t *testing.T, sessions int) {
			store := directory(t, map[string][]byte{"a.sql": []byte(test.content)})
			e := newSlowly(t, nil, nil)
			e.store = slowStore{store, e}
			o, err := intoBy(t, e, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, store)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("it says %v, want %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			url := o.Bindings[0].URL
			if diff := cmp.Diff(schema(t, source.URL("early"))+digests(t, source.URL("early")), schema(t, url)+digests(t, url)); diff != "" {
				t.Errorf("what is restored differs (-source +comeback):\n%s", diff)
			}
			if !strings.Contains(o.Facts["statements"], " while rows came") {
				t.Errorf("statements: %s", o.Facts["statements"])
			}
		})
	}
}

package dump_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/recovery/dump/tuples"
)

// translated are types with values that translate, each as text of its own, and those that
// are left to the server.
var translated = []struct {
	name, receive string
	values, left  []string
}{
	{"boolean", "boolrecv", []string{"t", "f"}, []string{"true", "yes", "1", ""}},
	{"smallint", "int2recv", []string{"0", "-1", "32767", "-32768", "007"}, []string{"32768", "-32769", " 1", "+1", "1e1", "0x1", ""}},
	{"integer", "int4recv", []string{"0", "-1", "2147483647", "-2147483648"}, []string{"2147483648", "1 ", "--1", "-"}},
	{"bigint", "int8recv", []string{"0", "-1", "9223372036854775807", "-9223372036854775808"}, []string{"9223372036854775808", "-9223372036854775809", "99999999999999999999"}},
	{"real", "float4recv", []string{"0", "-0", "1.5", "3.4e+37", "1e-30", "0.1", "16777217", "NaN", "Infinity", "-Infinity"}, []string{"nan", "inf", "1e39", "1e-40", "0x10", "1_0", "", "0e1"}},
	{"double precision", "float8recv", []string{"0", "-0", "0.1", "1.7976931348623157e+307", "2.2250738585072014e-307", "123456.789", "NaN", "Infinity", "-Infinity"}, []string{"infinity", "1e400", "1e-320", " 1"}},
	{"numeric", "numeric_recv", []string{"0", "-0", "0.00", "1", "-1.50", "10000", "9999.9999", "0.00001234", "123456789012345678901234567890.000100", "1" + strings.Repeat("0", 900), "0." + strings.Repeat("0", 900) + "1", "NaN"},
		[]string{"Infinity", "nan", "1e5", ".5", "5.", "1.2.3", "", "-", "+1", "1" + strings.Repeat("0", 1000)}},
	{"numeric(8,2)", "numeric_recv", []string{"1.005", "999999.99", "-3"}, nil},
	{"text", "textrecv", []string{"", "plain", `tab\tand\nline\\end`, "grüße 表", `\b\f\r\v`}, []string{`\x41`, `\101`, `\q`, `\`, `a\`}},
	{"varchar(5)", "varcharrecv", []string{"", "five5", "a     "}, nil},
	{"char(4)", "bpcharrecv", []string{"", "ab", "abcd"}, nil},
	{"json", "json_recv", []string{`{"a":  [1, 2]}`, `"\\u00e4 \\"q\\""`}, nil},
	{"jsonb", "jsonb_recv", []string{`{"b": 1, "a": [true, null, 1.50]}`, `"\\n"`}, nil},
	{"bytea", "bytearecv", []string{`\\x`, `\\x00ff7E`}, []string{`\\x0`, `\\xgg`, "abc", `\\x 00`, `\x00`}},
	{"uuid", "uuid_recv", []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}, []string{"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1x"}},
	{"date", "date_recv", []string{"0001-01-01", "9999-12-31", "2000-01-01", "1999-12-31", "2000-02-29", "1900-02-28", "2024-03-01", "infinity", "-infinity"},
		[]string{"Infinity", "0044-03-15 BC", "2001-02-29", "1900-02-29", "2001-13-01", "2001-00-01", "2001-01-00", "01/02/2001", "0000-01-01", "12001-01-01"}},
	{"time", "time_recv", []string{"00:00:00", "23:59:59.999999", "12:30:15.5"}, []string{"24:00:00", "12:30", "12:30:60", "12:30:15.", "12:30:15.1234567", "12:30:15+01"}},
	{"timestamp", "timestamp_recv", []string{"2026-11-29 23:20:32", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "1969-07-20 20:17:40.123", "infinity", "-infinity"}, []string{"+infinity", "2026-11-29", "2026-11-29T23:20:32", "2026-11-29 23:20:32 BC", "2026-11-29 23:20:32+00"}},
	{"timestamp(1)", "timestamp_recv", []string{"2026-11-29 23:20:32.96"}, nil},
	{"timestamptz", "timestamptz_recv", []string{"2026-11-29 23:20:32+00", "2026-11-29 23:20:32.000001-03:30", "1890-01-01 00:00:00+00:53:28", "2000-01-01 00:00:00+15:59:59", "infinity", "-infinity"}, []string{"2026-11-29 23:20:32", "2026-11-29 23:20:32+16", "2026-11-29 23:20:32 UTC", "2026-11-29 23:20:32+1", "2026-11-29 23:20:32+01:60", "epoch", "2026-11-29 23:20:32+01:00:00:00"}},
	{"mood", "enum_recv", []string{"sad", "very happy"}, nil},
	{"positive", "int4recv", []string{"1", "77"}, nil},
	{"citext", "textrecv", []string{"Hello"}, nil},
}

// tuplesDatabase is a database with the types of translated, and a session in it.
func tuplesDatabase(t *testing.T) *pgconn.PgConn {
	t.Helper()
	filled(t, "tuples", `create type mood as enum ('sad', 'very happy'); create domain positive as integer check (value > 0)`)
	if err := query(t.Context(), "tuples", "create extension citext"); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), source.URL("tuples"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn.PgConn()
}

// A table of which some rows do not translate comes back whole and in its order, those rows
// as the text that they are; what is wrong in it is told with its line, in either format.
func TestRestore_Translated(t *testing.T) {
	defer dump.SetPieces(500, 4_000)()
	const text, broken, positive = 1, 2, 3
	dumped := func(odd map[int]int) []byte {
		var b strings.Builder
		b.WriteString("CREATE TABLE public.t (id integer, at timestamp with time zone, n numeric CHECK ((n > (0)::numeric)));\nCOPY public.t (id, n, at) FROM stdin;\n")
		for n := range 20_000 {
			id, at, price := fmt.Sprint(n), "2026-11-29 23:20:32+00", "12.50"
			switch odd[n] {
			case text:
				at = "2026-11-29"
			case broken:
				id = "x"
			case positive:
				price = "-1"
			}
			b.WriteString(id + "\t" + price + "\t" + at + "\n")
		}
		b.WriteString("\\.\n")
		return plainDump("15.1", "SET client_encoding = 'UTF8';\nSELECT pg_catalog.set_config('search_path', '', false);", b.String())
	}
	// The rows begin in line 14.
	for name, c := range map[string]struct {
		odd  map[int]int
		says string
	}{
		"all":                   {nil, ""},
		"some":                  {map[int]int{0: text, 6000: text, 6001: text, 14_000: text}, ""},
		"broken":                {map[int]int{6000: text, 13_000: broken}, "line 13014: COPY public.t (id, n, at) FROM stdin: invalid input syntax for type integer"},
		"against a check":       {map[int]int{13_000: positive}, `line 13014: COPY public.t (id, n, at) FROM stdin: new row for relation "t" violates check constraint`},
		"behind text":           {map[int]int{6000: text, 13_000: positive, 13_001: broken}, `line 13014: COPY public.t (id, n, at) FROM stdin: new row for relation "t" violates check constraint`},
		"against it, in text":   {map[int]int{13_000: positive, 13_002: text}, `line 13014: COPY public.t (id, n, at) FROM stdin: new row for relation "t" violates check constraint`},
		"broken in its first":   {map[int]int{0: broken}, "line 14: COPY public.t (id, n, at) FROM stdin: invalid input syntax for type integer"},
		"broken after its text": {map[int]int{0: text, 30: broken}, "line 44: COPY public.t (id, n, at) FROM stdin: invalid input syntax for type integer"},
	} {
		bySessions(t, name, func(t *testing.T, sessions int) {
			o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.sql", dumped(c.odd))
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, not %s", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			if says := o.Facts["statements"]; !strings.Contains(says, "rows in COPY's binary format") || strings.Contains(says, "; 20000 rows in") != (len(c.odd) == 0) {
				t.Errorf("statements: %s", says)
			}
			want := fmt.Sprintf("20000 199990000 %d", len(c.odd))
			if got := ask(t, o.Bindings[0].URL, "select count(*) || ' ' || sum(id) || ' ' || count(*) filter (where at = '2026-11-29') from t where n = 12.50"); got != want {
				t.Errorf("rows: %s, not %s", got, want)
			}
			if got := ask(t, o.Bindings[0].URL, "select count(*) from (select id, lag(id) over (order by ctid) as before from t) r where before > id"); got != "0" && sessions == 2 {
				t.Errorf("%s rows come before those that they were behind", got)
			}
		})
	}
}

// The line of a row that the server refuses is told also where the server says first where in
// a value it has found something, or where the value holds such words itself.
func TestRestore_RefusedValue(t *testing.T) {
	defer dump.SetPieces(500, 4_000)()
	for name, c := range map[string]struct{ kind, good, bad, says string }{
		"JSON":  {"jsonb", `{"a": 1}`, `{"a": }`, "invalid input syntax for type json"},
		"words": {"integer", "1", "x, line 99", "invalid input syntax for type integer"},
	} {
		var b strings.Builder
		fmt.Fprintf(&b, "CREATE TABLE public.t (id integer, v %s);\nCOPY public.t (id, v) FROM stdin;\n", c.kind)
		for n := range 20_000 {
			value := c.good
			if n == 13_000 {
				value = c.bad
			}
			fmt.Fprintf(&b, "%d\t%s\n", n, value)
		}
		b.WriteString("\\.\n")
		script := plainDump("15.1", "SET client_encoding = 'UTF8';\nSELECT pg_catalog.set_config('search_path', '', false);", b.String())
		_, err := into(t, empty, recovery.Component{Name: t.Name() + name, Kind: recovery.Postgres}, "a.sql", script)
		if want := "line 13014: COPY public.t (id, v) FROM stdin: " + c.says; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %s", name, err, want)
		}
	}
}

// copyIn makes a table of one column anew and copies into it; copyOut gives what is in it.
func copyIn(t *testing.T, conn *pgconn.PgConn, kind, how string, data []byte) error {
	t.Helper()
	if _, err := conn.Exec(t.Context(), "drop table if exists value; create table value (v "+kind+")").ReadAll(); err != nil {
		t.Fatal(err)
	}
	_, err := conn.CopyFrom(t.Context(), bytes.NewReader(data), "copy value from stdin "+how)
	return err
}

func copyOut(t *testing.T, conn *pgconn.PgConn, how string) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := conn.CopyTo(t.Context(), &out, "copy value to stdout "+how); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func inTuples(t *testing.T, receive, rows string) []byte {
	t.Helper()
	row, ok := tuples.For([]string{receive})
	if !ok {
		t.Fatalf("%s is unknown", receive)
	}
	out, ok := row.Append(bytes.Clone(tuples.Header), []byte(rows))
	if !ok {
		return nil
	}
	return append(out, tuples.Trailer...)
}

// What translates is what the server makes of its text, and where it writes values as it
// reads them, byte for byte what the server writes in its binary format.
func TestTuples_asTheServer(t *testing.T) {
	conn := tuplesDatabase(t)
	for _, kind := range translated {
		rows := strings.Join(kind.values, "\n") + "\n\\N\n"
		if err := copyIn(t, conn, kind.name, "", []byte(rows)); err != nil {
			t.Fatalf("%s: %v", kind.name, err)
		}
		text, binary := copyOut(t, conn, ""), copyOut(t, conn, "(format binary)")
		if got := inTuples(t, kind.receive, string(text)); !bytes.Equal(got, binary) {
			t.Errorf("%s: what the server wrote translates as\n%x, not\n%x", kind.name, got, binary)
		}
		if err := copyIn(t, conn, kind.name, "(format binary)", inTuples(t, kind.receive, rows)); err != nil {
			t.Errorf("%s: %v", kind.name, err)
		} else if got := copyOut(t, conn, ""); !bytes.Equal(got, text) {
			t.Errorf("%s: %s came back as %s", kind.name, text, got)
		}
		for _, value := range kind.left {
			if got := inTuples(t, kind.receive, value+"\n"); got != nil {
				t.Errorf("%s: %s translates as %x", kind.name, value, got)
			}
		}
	}
}

// What the server fills itself comes out of its text as it writes it in its binary format.
func TestTuples_random(t *testing.T) {
	conn := tuplesDatabase(t)
	const fill = `drop table if exists value; create table value as select n, -n::smallint as s, (random() * 1e18)::bigint - 5e17::bigint as b, random() as f, random()::real as r,
		round((random() * 10 ^ (n % 30 - 12))::numeric, n % 20) as d, (random() * 1e6)::numeric as d2, n % 2 = 0 as t,
		'2026-01-01'::timestamptz + (random() - 0.5) * interval '3000 years' as at, '2026-01-01'::timestamp + (random() - 0.5) * interval '3000 years' as local,
		'2026-01-01'::date + n * 97 - 70000 as day, make_time(n % 24, n % 60, random() * 59) as clock, gen_random_uuid() as id,
		decode(md5(n::text), 'hex') as hash, jsonb_build_object('n', n, 'text', E'a\nb\t"c\\d') as doc, case when n % 3 > 0 then E'what\\ever\t' || chr(160 + n) end as note
		from generate_series(1, 2000) n`
	// In a session that lies in such a place offsets have minutes and seconds.
	for _, zone := range []string{"UTC", "Asia/Kathmandu", "America/St_Johns", "Africa/Monrovia"} {
		sql := fmt.Sprintf("set timezone = '%s'; select setseed(0.5); %s", zone, fill)
		if source.Cluster().Tools.Major < 14 {
			sql = strings.Replace(sql, "gen_random_uuid()", "md5(n::text)::uuid", 1)
		}
		if _, err := conn.Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
		row, ok := tuples.For([]string{"int4recv", "int2recv", "int8recv", "float8recv", "float4recv", "numeric_recv", "numeric_recv", "boolrecv", "timestamptz_recv", "timestamp_recv",
			"date_recv", "time_recv", "uuid_recv", "bytearecv", "jsonb_recv", "textrecv"})
		if !ok {
			t.Fatal("a type is unknown")
		}
		got, ok := row.Append(bytes.Clone(tuples.Header), copyOut(t, conn, ""))
		if !ok || !bytes.Equal(append(got, tuples.Trailer...), copyOut(t, conn, "(format binary)")) {
			t.Errorf("%s: translated: %v, or as something else", zone, ok)
		}
	}
}

// Whatever translates, however it was written, is what the server takes its text for, or
// what it refuses in both forms.
func TestTuples_mutated(t *testing.T) {
	conn := tuplesDatabase(t)
	random := rand.New(rand.NewPCG(1, 2))
	rounds := 40
	if enginetest.Soak() {
		rounds = 2000
	}
	const letters = `0123456789-+.:eE tfxnaN\/ä"{}[],`
	for _, kind := range translated {
		for range rounds {
			// One that is refused would hide those behind it, so only a few at a time.
			var rows strings.Builder
			for range 1 + random.IntN(3) {
				value := []byte(kind.values[random.IntN(len(kind.values))])
				for range random.IntN(3) {
					at, letter := random.IntN(len(value)+1), letters[random.IntN(len(letters))]
					switch {
					case random.IntN(3) == 0:
						value = append(value[:at:at], append([]byte{letter}, value[at:]...)...)
					case at < len(value) && random.IntN(2) == 0:
						value[at] = letter
					case at < len(value):
						value = append(value[:at:at], value[at+1:]...)
					}
				}
				rows.Write(append(value, '\n'))
			}
			binary := inTuples(t, kind.receive, rows.String())
			if binary == nil {
				continue
			}
			asText := copyIn(t, conn, kind.name, "", []byte(rows.String()))
			text := copyOut(t, conn, "")
			asTuples := copyIn(t, conn, kind.name, "(format binary)", binary)
			if got := copyOut(t, conn, ""); (asText == nil) != (asTuples == nil) || !bytes.Equal(got, text) {
				t.Errorf("%s: %q is\n%s (%v), translated\n%s (%v)", kind.name, rows.String(), text, asText, got, asTuples)
			}
		}
	}
}

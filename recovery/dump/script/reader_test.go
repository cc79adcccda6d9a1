package script

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// split is a script's parts as "kind: text", with the COPY data.
func split(t testing.TB, script string) ([]string, error) {
	t.Helper()
	r := NewReader(strings.NewReader(script))
	var parts []string
	for {
		p, err := r.Next()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return parts, err
		}
		if p.Kind != Space {
			parts = append(parts, fmt.Sprintf("%s: %s", p.Kind, p.Text))
		}
		if p.Copies {
			b, err := io.ReadAll(r.Data())
			if err != nil {
				return parts, err
			}
			parts = append(parts, "data: "+string(b))
		}
	}
}

func TestReader_Splits(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   []string
	}{
		"empty":            {"", nil},
		"two statements":   {"select 1; select 2;\n", []string{"statement: select 1;", "statement: select 2;"}},
		"string":           {"select 'a;''b\\';", []string{"statement: select 'a;''b\\';"}},
		"escape string":    {`select E'a\';--', 1; x;`, []string{`statement: select E'a\';--', 1;`, "statement: x;"}},
		"escape goes on":   {"select E'a'\n 'b\\';'; x;", []string{"statement: select E'a'\n 'b\\';';", "statement: x;"}},
		"name ends in E":   {`select nameE'\'; x;`, []string{`statement: select nameE'\';`, "statement: x;"}},
		"quoted name":      {`create table "a;"" b" (); x;`, []string{`statement: create table "a;"" b" ();`, "statement: x;"}},
		"dollar quote":     {"do $$ begin; end $$; x;", []string{"statement: do $$ begin; end $$;", "statement: x;"}},
		"tagged":           {"do $f1$ a; $$ b; $f$ $f1$; x;", []string{"statement: do $f1$ a; $$ b; $f$ $f1$;", "statement: x;"}},
		"dollar in a name": {"select a$b$c; x; $1;", []string{"statement: select a$b$c;", "statement: x;", "statement: $1;"}},
		"nested comment":   {"/* a /* ; */ ' */ select /*;*/ 1 --;\n; x;", []string{"comment: /* a /* ; */ ' */", "statement: select /*;*/ 1 --;\n;", "statement: x;"}},
		"rule in brackets": {"create rule r as do also (a; b); x;", []string{"statement: create rule r as do also (a; b);", "statement: x;"}},
		"atomic body":      {"create or replace function f() begin atomic select case when a then 1 end; select 2; end; x;", []string{"statement: create or replace function f() begin atomic select case when a then 1 end; select 2; end;", "statement: x;"}},
		"a body of case":   {"create function f() Begin\n Atomic select begin atomic, case begin when 1 then 2 end from t; end; x;", []string{"statement: create function f() Begin\n Atomic select begin atomic, case begin when 1 then 2 end from t; end;", "statement: x;"}},
		"begin as a name":  {"create function public.begin(begin int) returns begin as $$;$$; create procedure begin() begin atomic select b.begin, (begin) from b; end; x;", []string{"statement: create function public.begin(begin int) returns begin as $$;$$;", "statement: create procedure begin() begin atomic select b.begin, (begin) from b; end;", "statement: x;"}},
		"begin alone":      {"begin; create foreign table f; x; end;", []string{"statement: begin;", "statement: create foreign table f;", "statement: x;", "statement: end;"}},
		"commands":         {"\\connect shop\n\\restrict abc\nx;", []string{`command: \connect shop`, `command: \restrict abc`, "statement: x;"}},
		"byte order mark":  {"\ufeffx;", []string{"statement: x;"}},
		"copy": {"COPY public.t (a) FROM stdin;\nit's; \\N\n\\\\.\n-- no comment\n\\connect x\n\\. no end\n\\.\n\nx;",
			[]string{"statement: COPY public.t (a) FROM stdin;\n", "data: it's; \\N\n\\\\.\n-- no comment\n\\connect x\n\\. no end\n", "end of data: \\.\n", "statement: x;"}},
		"copy nothing":    {"copy t from STDIN;\n\\.\n", []string{"statement: copy t from STDIN;\n", "data: ", "end of data: \\.\n"}},
		"copy, CRLF":      {"copy t from stdin;\r\na\r\n\\.\r\nx;", []string{"statement: copy t from stdin;\r\n", "data: a\r\n", "end of data: \\.\r\n", "statement: x;"}},
		"copy at the end": {"copy t from stdin;\na\n\\.", []string{"statement: copy t from stdin;\n", "data: a\n", `end of data: \.`}},
		"copy to":         {"copy t to stdout; copy t from '/etc/x'; copy \"from\" (a) from program 'x';", []string{"statement: copy t to stdout;", "statement: copy t from '/etc/x';", "statement: copy \"from\" (a) from program 'x';"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := split(t, test.script)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReader_Refuses(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   error
		says   string
	}{
		"in a statement":  {"select 1;\n\nselect 2", ErrCutOff, "line 3"},
		"in a string":     {"select 'abc;", ErrCutOff, "line 1"},
		"in a body":       {"do $$ ;", ErrCutOff, "line 1"},
		"in a comment":    {"/* /* */", ErrCutOff, "line 1"},
		"before data":     {"copy t from stdin;", ErrCutOff, "line 1"},
		"in data":         {"copy t from stdin;\n1\n2\n", ErrCutOff, "line 4"},
		"in a row":        {"copy t from stdin;\n1\n2", ErrCutOff, "line 3"},
		"command inside":  {"select 1 \\gexec\n;", ErrCommand, "line 1"},
		"text after copy": {"copy t from stdin; select 1;\n", nil, "something follows"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := split(t, test.script)
			if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %v at %s", err, test.want, test.says)
			}
		})
	}
}

func TestReader_BackslashesWithoutStandardStrings(t *testing.T) {
	r := NewReader(strings.NewReader(`select 'a\';'; x;`))
	r.StandardStrings(false)
	p, err := r.Next()
	if err != nil || string(p.Text) != `select 'a\';';` {
		t.Errorf("%q, %v", p.Text, err)
	}
	if got := p.Summary(); got != "select '…'" {
		t.Errorf("summary %q", got)
	}
}

// Statements and data far larger than any buffer, without a table in memory.
func TestReader_LongParts(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	rows := 300_000
	script := io.MultiReader(strings.NewReader("select '"+long+"';\ncopy t from stdin;\n"+long+"\n"),
		strings.NewReader(strings.Repeat("1\tone\n", rows)), strings.NewReader("\\.\nselect 1;"))
	r := NewReader(script)
	p, err := r.Next()
	if err != nil || len(p.Text) != len(long)+len("select '';") {
		t.Fatalf("%d bytes, %v", len(p.Text), err)
	}
	for p.Kind != Statement || !p.Copies {
		if p, err = r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	n, err := io.Copy(io.Discard, r.Data())
	if err != nil || n != int64(len(long)+1+len("1\tone\n")*rows) {
		t.Errorf("%d bytes of data, %v", n, err)
	}
	if p, err = r.Next(); err != nil || p.Kind != EndOfData || p.Line != int64(rows+4) {
		t.Errorf("%v, %v", p, err)
	}
}

// What a reader gives, put together, is the script, whatever the script is;
// and it is the same however the script arrives.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"select 'a;''b';\n", "select E'\\';'\n'x';", "do $x$ ; $x$;", "/* /* */ */ --\n;",
		"copy t from stdin;\na\tb\n\\\\.\n\\.\nselect 1;", "copy t from stdin;\r\n\\.\r\n", "copy t from stdin;\na\\\nb\nc\\\\\nd\\\\\\\n\\\n\n\\.\n", "\\connect x\n", "\ufeffa;",
		"create function f() begin atomic a; end;", "copy t from stdin;\n\\.", "\x00;", "select a$b$;$b$;",
	} {
		f.Add(seed, uint8(3))
	}
	f.Fuzz(func(t *testing.T, script string, chunk uint8) {
		whole, wholeErr := raw(strings.NewReader(script), (*Reader).wholeData)
		if wholeErr == nil && string(whole) != script {
			t.Errorf("%q became %q", script, whole)
		}
		if !strings.HasPrefix(script, string(whole)) {
			t.Errorf("%q is not the beginning of %q", whole, script)
		}
		pieces, piecesErr := raw(&slow{strings.NewReader(script), int(chunk%7) + 1}, (*Reader).wholeData)
		if !bytes.Equal(whole, pieces) || fmt.Sprint(wholeErr) != fmt.Sprint(piecesErr) {
			t.Errorf("in pieces of %d: %q, %v; whole: %q, %v", chunk%7+1, pieces, piecesErr, whole, wholeErr)
		}
		rows, rowsErr := raw(&slow{strings.NewReader(script), int(chunk%7) + 1}, rowsOf(int(chunk%5)+1, int(chunk%23)+6))
		if !bytes.Equal(whole, rows) || fmt.Sprint(wholeErr) != fmt.Sprint(rowsErr) {
			t.Errorf("by rows: %q, %v; whole: %q, %v", rows, rowsErr, whole, wholeErr)
		}
	})
}

func (r *Reader) wholeData() ([]byte, error) {
	return io.ReadAll(r.Data())
}

// rowsOf reads COPY data by rows, and panics where a row is torn that would have
// had room.
func rowsOf(soft, hard int) func(*Reader) ([]byte, error) {
	return func(r *Reader) ([]byte, error) {
		var all []byte
		for {
			line := r.Line()
			rows, whole, err := r.Rows(make([]byte, 0, hard), soft)
			all = append(all, rows...)
			if err == io.EOF {
				return all, nil
			}
			if err != nil {
				return all, err
			}
			if whole && rows[len(rows)-1] != '\n' || len(rows) == 0 || len(rows) > hard {
				panic(fmt.Sprintf("%q is said to end with a row", rows))
			}
			if line := strings.TrimSuffix(strings.TrimSuffix(string(all), "\n"), "\r"); whole && (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1 {
				panic(fmt.Sprintf("%q is said to end with a row, behind a backslash", all))
			}
			if got := r.Line() - line; got != int64(bytes.Count(rows, []byte("\n"))) && err == nil && !bytes.HasPrefix(r.data.marker, []byte(`\.`)) {
				panic(fmt.Sprintf("%q is %d lines", rows, got))
			}
		}
	}
}

// raw puts together what a reader gives.
func raw(in io.Reader, data func(*Reader) ([]byte, error)) ([]byte, error) {
	var out bytes.Buffer
	r := NewReader(in)
	for {
		p, err := r.Next()
		if err == io.EOF {
			return out.Bytes(), nil
		}
		if err != nil {
			return out.Bytes(), err
		}
		out.Write(p.Text)
		if p.Kind == Statement {
			_ = p.Summary()
			_ = Judge(p, "postgres")
			_ = Roles(p)
			_ = p.Effect()
		}
		if p.Copies {
			rows, err := data(r)
			out.Write(rows)
			if err != nil {
				return out.Bytes(), err
			}
		}
	}
}

// slow gives a few bytes at a time.
type slow struct {
	r io.Reader
	n int
}

func (s *slow) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.n)]) }

func BenchmarkReader(b *testing.B) {
	for name, unit := range map[string]string{
		"copy":   "17\t2026-11-22 02:41:07.221+00\t49.90\tsome text of a row\n",
		"insert": "INSERT INTO public.orders VALUES (17, '2026-11-22 02:41:07.221+00', 49.90, 'some text of a row');\n",
	} {
		b.Run(name, func(b *testing.B) {
			script := strings.Repeat(unit, 200_000)
			if name == "copy" {
				script = "copy t from stdin;\n" + script + "\\.\n"
			}
			b.SetBytes(int64(len(script)))
			for b.Loop() {
				r := NewReader(strings.NewReader(script))
				for {
					p, err := r.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					if p.Kind == Statement {
						Judge(p, "postgres")
					}
				}
			}
		})
	}
}

// In some encodings a letter ends in what is a backslash elsewhere: where a script says that
// it is written in one of them, it ends no string and is no command.
func TestReader_LettersThatEndInABackslash(t *testing.T) {
	for encoding, letter := range map[string]string{"SJIS": "\x95\\", "shift_jis_2004": "\x83\\", "BIG5": "\xa5\\", "GBK": "\x81\\", "Win936": "\x81\\", "GB18030": "\x81\\", "JOHAB": "\xa1\\"} {
		want := []string{"statement: SET client_encoding = '" + encoding + "';", "statement: select E'" + letter + "', ';';", "statement: select E'\\" + letter + "\\';', E'" + letter + "\\\\';",
			`statement: create view "` + letter + `" as select ` + letter + `;`, "statement: " + letter + ";", "comment: -- " + letter + "'", "statement: x;"}
		var script strings.Builder
		for _, part := range want {
			script.WriteString(part[strings.Index(part, ": ")+2:] + "\n")
		}
		got, err := split(t, script.String())
		if err != nil {
			t.Errorf("%s: %v", encoding, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", encoding, diff)
		}
	}
	for name, text := range map[string]string{
		"a letter of one byte": "SET client_encoding TO SJIS;\nselect E'\xb1\\\\', 1;",
		"a letter of four":     "SET client_encoding = 'GB18030';\nselect E'\x81\x30\x81\x30\\'', 1;",
		"no such encoding":     "SET client_encoding = 'UTF8';\nselect E'\xe8\xa1\xa8\\'', 1;",
		"not any more":         "SET client_encoding = 'SJIS';SET client_encoding = 'UTF8';select E'\xe8\xa1\xa8\\'', 1;",
	} {
		got, err := split(t, text)
		if err != nil || !strings.HasSuffix(got[len(got)-1], "', 1;") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestPart_TokensOfLetters(t *testing.T) {
	r := NewReader(strings.NewReader("SET client_encoding = 'SJIS';ALTER TABLE \x83A\x95\\.\"\x83A\x95\\\" RENAME TO E'\x95\\';"))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	p, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, token := range p.Tokens() {
		got = append(got, string(token.Kind)+" "+token.Text)
	}
	if diff := cmp.Diff([]string{"word alter", "word table", "word \x83A\x95\\", "other .", "quoted \x83A\x95\\", "word rename", "word to", "string E'\x95\\'"}, got); diff != "" {
		t.Error(diff)
	}
}

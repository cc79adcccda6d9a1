package dump

import (
	"slices"
	"strings"
	"testing"

	"comeback/recovery/dump/script"
)

// What stands behind the rows is foreseen up to the first statement that may have to do with
// it, or change how it is to be read.
func TestReadOutlook(t *testing.T) {
	const (
		head  = "SET standard_conforming_strings = on;\nSELECT pg_catalog.set_config('search_path', '', false);\n"
		table = "CREATE TABLE public.a (id integer);\n"
		rows  = "COPY public.a (id) FROM stdin;\n1\n\\.\n"
		index = "CREATE INDEX i ON public.a USING btree (id);\n"
		key   = "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT k PRIMARY KEY (id);\n"
		long  = "CREATE INDEX l ON public.b USING gin (id);\n"
	)
	for name, test := range map[string]struct {
		begun bool // no definitions stand before
		text  string
		want  string // the names of what is foreseen
		long  int
	}{
		"a script":                     {false, head + table + rows + "SELECT pg_catalog.setval('public.s', 1, true);\n" + key + index + "COMMENT ON INDEX public.i IS 'i';\n" + long, "i k l", 1},
		"behind the definitions":       {true, head + key + index, "i k", 0},
		"unknown":                      {false, head + table + rows + index + "CREATE STATISTICS public.s ON id, n FROM public.a;\n" + long, "i", 0},
		"unknown before all":           {true, head + table + index, "", 0},
		"a foreign key":                {true, head + index + "ALTER TABLE ONLY public.a ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES public.b(id);\n" + long, "i", 0},
		"a setting behind the rows":    {false, head + rows + "SET default_tablespace = fast;\n" + index, "", 0},
		"a backslash that escapes":     {true, "SET standard_conforming_strings = off;\n" + index, "", 0},
		"another database":             {false, head + rows + index + "\\connect other\n" + long, "i", 0},
		"in a tablespace":              {true, head + index + "CREATE INDEX t ON public.a USING btree (id) TABLESPACE fast;\n" + long, "i", 0},
		"a key that is no index":       {true, head + "ALTER TABLE ONLY public.a ADD CONSTRAINT e EXCLUDE USING gist (id WITH =);\n" + index, "i", 0},
		"cut off":                      {true, head + index + "CREATE INDEX l ON public.b", "i", 0},
		"restricted":                   {true, "\\restrict abc\n" + head + index + "\\unrestrict abc\n", "i", 0},
		"a word that no setting is":    {true, "SET role = x;\n" + index, "", 0},
		"rows that look like a script": {false, head + "COPY public.a (id) FROM stdin;\n" + index + "\\.\n" + long, "l", 1},
	} {
		o := readOutlook(script.NewReader(strings.NewReader(test.text)), test.begun)
		var names []string
		for _, of := range o.builds {
			for _, f := range of {
				names = append(names, f.effect.Index.Name)
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != test.want || len(o.long) != test.long {
			t.Errorf("%s: foreseen are %s, %d of them long", name, got, len(o.long))
		}
	}
}

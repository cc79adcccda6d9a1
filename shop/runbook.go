package shop

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"sync"
	"text/template"
)

//go:embed shop.md.tmpl
var runbookText string

var runbookTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("shop.md").Funcs(template.FuncMap{"quote": quoteYAML}).Parse(runbookText))
})

// RunbookOptions say what a runbook is to hold.
type RunbookOptions struct {
	// From says where a person finds DATABASE_URL.
	From string
	// NoShell leaves out what a rehearsal would have to run in a shell: not
	// every host can isolate it.
	NoShell bool
	// Whole says that everything beside the database comes back as well; the
	// shop must be furnished.
	Whole bool
	// Recipients are whom a backup of the configuration is encrypted for.
	Recipients []string
}

// Runbook is the shop's runbook, as the shop is now: its checks ask for the
// orders and carts that are there.
func (s *Shop) Runbook(o RunbookOptions) ([]byte, error) {
	if o.From == "" {
		o.From = "the file env beside this runbook"
	}
	counts := s.Counts()
	var b bytes.Buffer
	err := runbookTemplate().Execute(&b, map[string]any{
		"Cluster": s.Cluster(), "Copy": s.CopyURL(), "From": o.From, "Shell": !o.NoShell, "Whole": o.Whole, "Recipients": o.Recipients,
		"Uploads": s.Uploads(), "Settings": s.Settings(), "App": s.App(),
		"Orders": counts["orders"], "Carts": counts["carts"],
	})
	if err != nil {
		return nil, fmt.Errorf("write the shop's runbook: %w", err)
	}
	return b.Bytes(), nil
}

// quoteYAML writes text as a double-quoted YAML scalar without a reference in
// it.
func quoteYAML(text string) string { return strconv.Quote(text) }

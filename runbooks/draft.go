package runbooks

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"text/template"
	"time"
)

// Draft is what a new runbook is made from. Every field but System has a
// default.
type Draft struct {
	System string
	// RPO and RTO are 5 and 30 minutes by default.
	RPO, RTO time.Duration
	// Owner is a role, Reach how it is reached.
	Owner, Reach string
	// Copy is the url of the place with the backups, /var/backups/SYSTEM by
	// default.
	Copy                      string
	Region, Profile, Endpoint string
	// Database is the environment variable that holds the database's address,
	// DATABASE_URL by default; From says where a person finds its value.
	Database, From string
}

//go:embed new.md.tmpl
var newTemplate string

var draft = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("new.md").Funcs(template.FuncMap{"quote": quote}).Parse(newTemplate))
})

// quote writes a string as YAML in double quotes, which JSON's are.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("runbooks: quote a string: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// New writes a runbook for one PostgreSQL database that has no problems of its
// own. The error says which field of the draft has one.
func New(d Draft) ([]byte, error) {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&d.Owner, "platform on-call")
	set(&d.Reach, "say how: telephone, channel")
	set(&d.Copy, "file:///var/backups/"+d.System)
	set(&d.Database, "DATABASE_URL")
	set(&d.From, "say where: the vault, the deployment's settings")
	if d.RPO == 0 {
		d.RPO = 5 * time.Minute
	}
	if d.RTO == 0 {
		d.RTO = 30 * time.Minute
	}
	copyName := "offsite"
	if strings.HasPrefix(d.Copy, "file:") {
		copyName = "nearby"
	}
	var b bytes.Buffer
	err := draft().Execute(&b, struct {
		Draft
		RPO, RTO, CopyName string
		Restore, Rest      string // what the stages may take of the RTO
	}{d, formatDuration(d.RPO), formatDuration(d.RTO), copyName,
		formatDuration(max(time.Second, d.RTO/2)), formatDuration(max(time.Second, d.RTO/10))})
	if err != nil {
		return nil, fmt.Errorf("write a new runbook: %w", err)
	}
	if _, problems := Parse("new runbook", b.Bytes()); len(problems) > 0 {
		return nil, fmt.Errorf("write a new runbook: %s; %s", problems[0].Says, problems[0].Do)
	}
	return b.Bytes(), nil
}

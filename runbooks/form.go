package runbooks

import (
	"fmt"
	"slices"
	"strings"
)

// form is what the headers of a kind of block can be. The first key is the
// marker that makes it one.
type form struct {
	owner string // in sentences: "a check"
	keys  []string
	// instead says what to write for keys that only other kinds have.
	instead map[string]string
	example string // of the marker with a name
}

var (
	shellForm = form{
		owner: "a shell block", keys: []string{"run", "in", "timeout", "env", "terminal"},
		instead: map[string]string{
			"wait":  "keep one of `# run:` and `# wait:`",
			"start": "keep one of `# run:` and `# start:`",
			"ready": "write `# start:` in place of `# run:`, or remove it",
			"url":   "write `# start:` in place of `# run:`, or remove it",
			"every": "write `# wait:` in place of `# run:`, or remove it",
		},
		example: "# run: smoke test",
	}
	shellWaitForm = form{
		owner: "a wait in the shell", keys: []string{"wait", "in", "every", "timeout", "env"},
		instead: map[string]string{
			"run":      "keep one of `# run:` and `# wait:`",
			"terminal": "remove it: what is run again and again cannot talk with a person",
		},
		example: "# wait: the application answers",
	}
	startForm = form{
		owner: "a start", keys: []string{"start", "url", "ready", "timeout", "env"},
		instead: map[string]string{
			"run":      "keep one of `# run:` and `# start:`",
			"wait":     "keep one of `# wait:` and `# start:`",
			"in":       "remove it: an application is started in a rehearsal only",
			"terminal": "remove it: what runs beside the checks cannot talk with a person",
		},
		example: "# start: the shop",
	}
	checkForm = form{
		owner: "a check", keys: []string{"check", "on", "expect"},
		instead: map[string]string{
			"wait":    "keep one of `-- check:` and `-- wait:`",
			"every":   "write `-- wait:` in place of `-- check:`, or remove it",
			"timeout": "write `-- wait:` in place of `-- check:`, or remove it: the stage's budget bounds a check",
		},
		example: "-- check: orders came back",
	}
	sqlWaitForm = form{
		owner: "a wait for a query", keys: []string{"wait", "on", "expect", "every", "timeout"},
		instead: map[string]string{"check": "keep one of `-- check:` and `-- wait:`"},
		example: "-- wait: the search index is built",
	}
)

// known are the headers whose keys a kind of block has, each once; the others
// are reported.
func (p *parser) known(headers []header, f form) []header {
	var kept []header
	for _, h := range headers {
		switch first := find(kept, h.Key); {
		case first != nil:
			p.fail(h.Pos, fmt.Sprintf("`%s` stands here again, first on line %d", h.Key, first.Line), "keep one of them")
		case f.instead[h.Key] != "":
			p.fail(h.Pos, fmt.Sprintf("`%s` is not a key of %s", h.Key, f.owner), f.instead[h.Key])
		case !slices.Contains(f.keys, h.Key):
			do := "put an empty line above it if it is a comment, or write one of " + strings.Join(f.keys, ", ")
			near, ok := nearest(h.Key, f.keys)
			if ok {
				do = fmt.Sprintf("write `%s`", near)
			}
			p.fail(h.Pos, fmt.Sprintf("`%s` is not a key of %s", h.Key, f.owner), do)
			if ok && find(headers, near) == nil {
				h.Key = near
				kept = append(kept, h)
			}
		default:
			kept = append(kept, h)
		}
	}
	return kept
}

// blockName checks the name of a check or a script; names tell results apart.
func (p *parser) blockName(h header, f form) {
	if h.Value == "" {
		p.fail(h.Pos, fmt.Sprintf("this `%s` has no name", h.Key), fmt.Sprintf("write what it does, like `%s`", f.example))
		return
	}
	p.uniqueName(h.ValueAt, h.Value)
}

func (p *parser) uniqueName(at Pos, name string) {
	if first, taken := p.names[name]; taken {
		p.fail(at, fmt.Sprintf("there is a block named `%s` already, on line %d", name, first.Line), "give this one another name")
		return
	}
	p.names[name] = at
}

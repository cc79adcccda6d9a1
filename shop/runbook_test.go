package shop_test

import (
	"slices"
	"testing"

	"comeback/runbooks"
	"comeback/shop"
	"comeback/shop/shoptest"
)

func TestShop_Runbook(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: small})
	vocabulary := runbooks.Vocabulary{Engines: []runbooks.Schema{{Engine: "any", Kind: "postgres", Keys: []runbooks.Key{{Name: "url"}, {Name: "admin"}}}}}
	for name, o := range map[string]shop.RunbookOptions{"whole": {}, "without a shell": {NoShell: true, From: `a "quoted" place`}} {
		t.Run(name, func(t *testing.T) {
			text, err := s.Runbook(o)
			if err != nil {
				t.Fatal(err)
			}
			rb, problems := runbooks.Parse("shop.md", text)
			problems = append(problems, runbooks.Lint(rb, vocabulary)...)
			for _, p := range problems {
				t.Errorf("%s", p)
			}
			if c, ok := rb.Copy("nearby"); !ok || c.URL != s.CopyURL() {
				t.Errorf("copy %+v", c)
			}
			var stages []string
			kinds := map[string]int{}
			for _, stage := range rb.Stages {
				stages = append(stages, stage.Name)
				for _, b := range stage.Blocks {
					switch b := b.(type) {
					case runbooks.Ticks:
						kinds["ticks"] += len(b.Items)
					case runbooks.SQLCheck:
						kinds["check"]++
					case runbooks.Shell:
						kinds["shell in "+string(b.In)]++
						if b.In == runbooks.InBoth && !slices.Equal(b.Env, []string{"DATABASE_URL"}) {
							t.Errorf("%s sees %v", b.Name, b.Env)
						}
					case runbooks.Restore:
						kinds["restore"]++
					case runbooks.Switch:
						kinds["switch"]++
					default:
						t.Errorf("a %T", b)
					}
				}
			}
			if want := []string{"Stop the writes", "Restore the database", "Check the copy", "Switch", "Verify and open"}; !slices.Equal(stages, want) {
				t.Errorf("stages %q", stages)
			}
			shells := 1
			if o.NoShell {
				shells = 0
			}
			if kinds["ticks"] != 4 || kinds["check"] != 5 || kinds["restore"] != 1 || kinds["switch"] != 1 || kinds["shell in recovery"] != 1 || kinds["shell in both"] != shells {
				t.Errorf("blocks %v", kinds)
			}
		})
	}
}

// Whoever tries the shop out may take a backup of its configuration, too.
func TestShop_Runbook_recipients(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: small})
	text, err := s.Runbook(shop.RunbookOptions{Whole: true, Recipients: []string{"age1a", "age1b"}})
	if err != nil {
		t.Fatal(err)
	}
	rb, _ := runbooks.Parse("shop.md", text)
	for _, c := range rb.Components {
		if got := c.Settings["recipients"]; c.Name == "config" && !slices.Equal(got, []string{"age1a", "age1b"}) {
			t.Errorf("recipients of %s: %q", c.Name, got)
		}
	}
}

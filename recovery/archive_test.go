package recovery

import "testing"

// Where a log ended is known by the engine that has read it, and by no other.
func TestLogEnd(t *testing.T) {
	t.Parallel()
	engines := []Engine{named{name: "dump"}, logged{named{name: "pitr"}}}
	for engine, want := range map[string]LSN{"pitr": 7, "dump": 0, "gone": 0} {
		if got := LogEnd(engines, Survey{Engine: engine}); got != want {
			t.Errorf("of %s it is %s, want %s", engine, got, want)
		}
	}
}

// named is an engine that has a name; logged knows where a log ends.
type named struct {
	Engine
	name string
}

func (n named) Schema() Schema { return Schema{Engine: n.name} }

type logged struct{ named }

func (logged) End(Survey) LSN { return 7 }

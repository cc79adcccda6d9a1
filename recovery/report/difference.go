package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// difference names the first place in which two JSON documents differ, and what
// stands there.
func difference(stored, told []byte) string {
	var a, b any
	if json.Unmarshal(stored, &a) != nil {
		return "it is not JSON"
	}
	if json.Unmarshal(told, &b) != nil {
		return "the journal's report is not JSON"
	}
	if d := differ("", a, b); d != "" {
		return d
	}
	return "the same values are written otherwise"
}

// differ is empty where a and b are equal.
func differ(path string, a, b any) string {
	if reflect.DeepEqual(a, b) {
		return ""
	}
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
			slices.Sort(keys)
			for _, k := range slices.Compact(keys) {
				if d := differ(path+"."+k, a[k], b[k]); d != "" {
					return d
				}
			}
		}
	case []any:
		if b, ok := b.([]any); ok && len(a) == len(b) {
			for i := range a {
				if d := differ(fmt.Sprintf("%s[%d]", path, i), a[i], b[i]); d != "" {
					return d
				}
			}
		}
	}
	return fmt.Sprintf("%s is %s, and should be %s", strings.TrimPrefix(path, "."), brief(a), brief(b))
}

func brief(v any) string {
	b, err := json.Marshal(v)
	if err != nil || v == nil {
		return "missing"
	}
	return clip(string(b), 80)
}

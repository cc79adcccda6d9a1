package report

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSON writes report.json: indented, in the order of Report's fields, the keys
// of maps sorted, and a newline at the end. The same report gives the same
// bytes.
func (r *Report) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("encode %s: %w", JSONFile, err)
	}
	return b.Bytes(), nil
}

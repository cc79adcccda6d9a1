package rdstest

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// space is the name space of every answer.
const space = "http://rds.amazonaws.com/doc/2014-10-31/"

// node is an element of an answer: a text, or further elements.
type node struct {
	name string
	text string
	in   []node
}

func leaf(name, text string) node { return node{name: name, text: text} }

func number(name string, n int) node { return leaf(name, strconv.Itoa(n)) }

func truth(name string, is bool) node { return leaf(name, strconv.FormatBool(is)) }

func at(name string, t time.Time) node {
	return leaf(name, t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

func tree(name string, in ...node) node { return node{name: name, in: in} }

// with appends what is not empty.
func (n node) with(name, text string) node {
	if text != "" {
		n.in = append(n.in, leaf(name, text))
	}
	return n
}

func (n node) write(w io.Writer) {
	fmt.Fprintf(w, "<%s>", n.name)
	_ = xml.EscapeText(w, []byte(n.text)) // into memory, or to whom has gone
	for _, in := range n.in {
		in.write(w)
	}
	fmt.Fprintf(w, "</%s>", n.name)
}

// answer writes what an action came to.
func answer(w http.ResponseWriter, action, request string, result []node) {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("x-amzn-RequestId", request)
	fmt.Fprintf(w, `<%sResponse xmlns="%s">`, action, space)
	tree(action+"Result", result...).write(w)
	tree("ResponseMetadata", leaf("RequestId", request)).write(w)
	fmt.Fprintf(w, "</%sResponse>\n", action)
}

// Fault is an error that the service answers with.
type Fault struct {
	Status        int
	Code, Message string
}

func (f Fault) Error() string { return f.Code + ": " + f.Message }

func (f Fault) write(w http.ResponseWriter, request string) {
	kind := "Sender"
	if f.Status >= 500 {
		kind = "Receiver"
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("x-amzn-RequestId", request)
	w.WriteHeader(f.Status)
	fmt.Fprintf(w, `<ErrorResponse xmlns="%s">`, space)
	tree("Error", leaf("Type", kind), leaf("Code", f.Code), leaf("Message", f.Message)).write(w)
	leaf("RequestId", request).write(w)
	fmt.Fprint(w, "</ErrorResponse>\n")
}

func fault(status int, code, format string, args ...any) Fault {
	return Fault{status, code, fmt.Sprintf(format, args...)}
}

// page is a part of a list, as MaxRecords and Marker ask for it.
func page(all []node, ask values, size int) (part []node, marker node, err error) {
	from := 0
	if m := ask.text("Marker"); m != "" {
		if from, err = strconv.Atoi(m); err != nil || from > len(all) {
			return nil, node{}, fault(400, "InvalidParameterValue", "Invalid value for marker: %s", m)
		}
	}
	to := min(from+size, len(all))
	if to < len(all) {
		marker = leaf("Marker", strconv.Itoa(to))
	} else {
		marker = leaf("Marker", "")
	}
	return all[from:to], marker, nil
}

// values are the parameters of a request.
type values map[string][]string

func (v values) text(name string) string {
	if all := v[name]; len(all) > 0 {
		return all[0]
	}
	return ""
}

// each are the members of a list, "VpcSecurityGroupIds.VpcSecurityGroupId.1".
func (v values) each(prefix string) (all []string) {
	for n := 1; ; n++ {
		text, ok := v[prefix+"."+strconv.Itoa(n)]
		if !ok {
			return all
		}
		all = append(all, text...)
	}
}

// tags are those of a request.
func (v values) tags() map[string]string {
	tags := map[string]string{}
	for n := 1; ; n++ {
		prefix := fmt.Sprintf("Tags.Tag.%d.", n)
		key, ok := v[prefix+"Key"]
		if !ok {
			return tags
		}
		tags[key[0]] = v.text(prefix + "Value")
	}
}

// time is a moment of a request, in whole seconds or finer.
func (v values) time(name string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(v.text(name)))
	if err != nil {
		return t, fault(400, "InvalidParameterValue", "Invalid date: %s", v.text(name))
	}
	return t, nil
}

package cnpg

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/storage"
)

// access says which API server is asked, and as whom; its values may hold references.
type access struct {
	Program     string   `json:"kubectl,omitempty"`
	Kubeconfig  string   `json:"kubeconfig,omitempty"`
	Context     string   `json:"context"`
	Namespace   string   `json:"namespace"`
	Environment []string `json:"environment,omitempty"`
}

func accessOf(c recovery.Component) (access, error) {
	a := access{Program: c.Settings.Text("kubectl"), Kubeconfig: c.Settings.Text("kubeconfig"), Context: c.Settings.Text("context"), Namespace: c.Settings.Text("namespace"), Environment: c.Settings["environment"]}
	for name, text := range map[string]string{"context": a.Context, "namespace": a.Namespace} {
		if text == "" {
			return a, recovery.Errorf(fmt.Sprintf("write `%s: NAME` into the component: what kubectl happens to be set to is never used", name), "the component %s does not say in which %s of Kubernetes it is", c.Name, name).WithExit(recovery.Usage)
		}
	}
	return a, nil
}

// details are an access as those of a claim; accessIn reads them.
func (a access) details() map[string]string {
	return map[string]string{"kubectl": a.Program, "kubeconfig": a.Kubeconfig, "context": a.Context, "namespace": a.Namespace, "environment": strings.Join(a.Environment, "\n")}
}

func accessIn(d map[string]string) access {
	a := access{Program: d["kubectl"], Kubeconfig: d["kubeconfig"], Context: d["context"], Namespace: d["namespace"]}
	if d["environment"] != "" {
		a.Environment = strings.Split(d["environment"], "\n")
	}
	return a
}

// kube is kubectl with what it is told each time, and the proxy that it is for the API.
type kube struct {
	access
	environ []string
	proxy   *proxy
}

// passed are the names of what kubectl and the programs that sign in for it read from this
// process's environment; an entry that ends with _ stands for all that begin so.
var passed = []string{"PATH", "HOME", "USER", "KUBECONFIG", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME",
	"AWS_", "AZURE_", "AAD_", "GOOGLE_", "CLOUDSDK_", "USE_GKE_GCLOUD_AUTH_PLUGIN"}

// open starts kubectl, which close ends; its first answer shows whether anybody answers.
func (a access) open(ctx context.Context, expand func(string) (string, error)) (kube, error) {
	k := kube{access: a, environ: []string{"LC_ALL=C.UTF-8", "TZ=UTC"}}
	for _, field := range []*string{&k.Program, &k.Kubeconfig, &k.Context, &k.Namespace} {
		text, err := expand(*field)
		if err != nil {
			return kube{}, err
		}
		*field = text
	}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		for _, p := range passed {
			if name == p || strings.HasSuffix(p, "_") && strings.HasPrefix(name, p) {
				k.environ = append(k.environ, v)
			}
		}
	}
	for _, v := range a.Environment {
		text, err := expand(v)
		if err != nil {
			return kube{}, err
		}
		k.environ = append(k.environ, text)
	}
	path, err := exec.LookPath(cmp.Or(k.Program, "kubectl"))
	if err != nil {
		return kube{}, recovery.Errorf("install kubectl, or write `kubectl: /path/to/kubectl` into the component", "kubectl is not there: %w", err).WithExit(recovery.Usage)
	}
	k.Program = path
	k.proxy, err = k.startProxy(ctx)
	return k, err
}

// close ends it.
func (k kube) close() {
	if k.proxy != nil {
		k.proxy.stop()
	}
}

// args are the arguments of every call, before its own.
func (k kube) args(own ...string) []string {
	all := []string{"--context", k.Context}
	if k.Kubeconfig != "" {
		all = append(all, "--kubeconfig", k.Kubeconfig)
	}
	return append(all, own...)
}

// call is one request: a verb as RBAC has it, a resource, and its path.
type call struct {
	verb, resource, path string
	body                 []byte
}

// methods are those of HTTP for a verb.
var methods = map[string]string{"get": http.MethodGet, "list": http.MethodGet, "create": http.MethodPost, "delete": http.MethodDelete}

// most bounds, in bytes, what one answer may hold.
const most = 64 << 20

// ask makes a request and gives its answer.
func (k kube) ask(ctx context.Context, c call) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, methods[c.verb], "http://localhost"+c.path, bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if c.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := k.proxy.client.Do(request)
	if err != nil {
		return nil, k.refusal(ctx, c, answer{Message: k.proxy.String(), Reason: "ServiceUnavailable"}, err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return nil, k.refusal(ctx, c, answer{Reason: "ServiceUnavailable"}, err)
	}
	if response.StatusCode < 300 {
		return b, nil
	}
	said := answer{Message: strings.TrimSpace(string(b))}
	if json.Unmarshal(b, &said) != nil && response.StatusCode >= 500 {
		said.Reason = "ServiceUnavailable" // kubectl's own words: it has not come through
	}
	return nil, k.refusal(ctx, c, said, errors.New(response.Status))
}

// answer is what the API says where it does not do what was asked for.
type answer struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// in is the path of a resource of the namespace.
func (k kube) in(api, resource string, name ...string) string {
	path := api + "/namespaces/" + url.PathEscape(k.Namespace) + "/" + resource
	for _, n := range name {
		path += "/" + url.PathEscape(n)
	}
	return path
}

// The APIs that are asked.
const (
	coreAPI  = "/api/v1"
	batchAPI = "/apis/batch/v1"
	cnpgAPI  = "/apis/postgresql.cnpg.io/v1"
)

// get reads one resource into what into points to; false where there is none.
func (k kube) get(ctx context.Context, api, resource, name string, into any) (bool, error) {
	b, err := k.ask(ctx, call{verb: "get", resource: resource, path: k.in(api, resource, name)})
	if errors.Is(err, errAbsent) {
		return false, nil
	}
	if err == nil {
		err = k.decode(b, resource, into)
	}
	return err == nil, err
}

func (k kube) decode(b []byte, what string, into any) error {
	if err := json.Unmarshal(b, into); err != nil {
		return recovery.Errorf("check the address of the API server", "understand what Kubernetes says of %s in %s: %w", what, k.Context, err)
	}
	return nil
}

// list reads every resource of the namespace, page by page.
func list[T any](ctx context.Context, k kube, api, resource string, query url.Values) ([]T, error) {
	return listAt[T](ctx, k, k.in(api, resource), resource, query)
}

// listAt reads every resource of a path.
func listAt[T any](ctx context.Context, k kube, path, resource string, query url.Values) ([]T, error) {
	q := url.Values{"limit": {"500"}}
	for name, v := range query {
		q[name] = v
	}
	var all []T
	for {
		b, err := k.ask(ctx, call{verb: "list", resource: resource, path: path + "?" + q.Encode()})
		if err != nil {
			return nil, err
		}
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []T `json:"items"`
		}
		if err := k.decode(b, resource, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Metadata.Continue == "" {
			return all, nil
		}
		q.Set("continue", page.Metadata.Continue)
	}
}

// The answers that the engine acts on.
var (
	errAbsent = errors.New("not there")
	errExists = errors.New("there already")
	errChange = errors.New("another one, or changed meanwhile")
)

// reasons are those of the API in storage's terms, so that expired credentials are waited
// for as those of a copy are.
var reasons = map[string]error{
	"NotFound":      errAbsent,
	"AlreadyExists": errExists,
	"Conflict":      errChange,

	"Forbidden":    storage.ErrDenied,
	"Unauthorized": storage.ErrExpired,

	"ServiceUnavailable": storage.ErrUnavailable,
	"InternalError":      storage.ErrUnavailable,
	"ServerTimeout":      storage.ErrUnavailable,
	"Timeout":            storage.ErrUnavailable,
	"TooManyRequests":    storage.ErrUnavailable,
}

// signedOut are kubectl's words where a program that signs in for it did not.
var signedOut = pattern.New(`(?i)getting credentials|exec plugin|exec: executable|token.*expired|provide credentials`)

// refusal is what a call came to in words, with the next step.
func (k kube) refusal(ctx context.Context, c call, said answer, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &storage.Error{Op: fmt.Sprintf("%s %s in %s of %s", c.verb, c.resource, k.Namespace, k.Context), Says: cmp.Or(shortened(said.Message), err.Error()), Kind: reasons[said.Reason], Err: err}
	if signedOut.MatchString(said.Message) {
		e.Kind = storage.ErrExpired
	}
	hint := "look at it with kubectl, then retry"
	switch {
	case errors.Is(e.Kind, storage.ErrDenied) && strings.Contains(said.Message, "exceeded quota"):
		e.Kind, hint = nil, "have the quota of the namespace raised, or remove what nobody needs, then retry"
	case errors.Is(e.Kind, storage.ErrDenied):
		hint = fmt.Sprintf("let whoever asks %s %s in the namespace %s; `kubectl --context %s auth whoami` says who that is", c.verb, c.resource, k.Namespace, k.Context)
	case errors.Is(e.Kind, storage.ErrExpired):
		hint = fmt.Sprintf("sign in again, then retry; `kubectl --context %s auth whoami` shows whether it works", k.Context)
	case errors.Is(e.Kind, storage.ErrUnavailable):
		hint = "check the network and the API server, then retry; whatever was asked for is found again"
	case strings.Contains(said.Message, "could not find the requested resource"):
		hint = "check `context:` of the component: the operator of CloudNativePG is not in this Kubernetes"
	case said.Reason == "Invalid":
		hint = "correct the source or the component by what it says, then make a new plan"
	}
	return &recovery.Error{What: e.Error(), Hint: hint, Err: e}
}

// shortened is the beginning of what somebody said.
func shortened(said string) string {
	const most = 2000
	if len(said) > most {
		said = strings.ToValidUTF8(said[:most], "") + "…"
	}
	return said
}

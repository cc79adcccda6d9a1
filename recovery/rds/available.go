package rds

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/storage"
)

// availableKind waits until what was asked for is available. It may be repeated.
type availableKind struct{ engine }

func (availableKind) Name() string              { return "rds.available" }
func (availableKind) Restart() recovery.Restart { return recovery.Repeat }

// The states that the engine acts on. Whatever else the service says is on the way.
const (
	available = "available"
	deleting  = "deleting"
)

// stuck are the states that do not end by themselves, and what to do about them.
var stuck = map[string]string{
	"failed":                              "look at its events in the console of RDS; retry makes a new one",
	"incompatible-restore":                "set `parameter_group:` or `class:` of the component to one that fits, then make a new plan",
	"restore-error":                       "choose another moment, or retry",
	"incompatible-network":                "set `subnet_group:` and `security_groups:` of the component to those of a network with room, then make a new plan",
	"incompatible-parameters":             "set `parameter_group:` of the component to one that starts, then make a new plan",
	"incompatible-option-group":           "correct the option group of the source, then make a new plan",
	"inaccessible-encryption-credentials": "let RDS use the key again, then retry",
	"insufficient-capacity":               "retry in some minutes, or set `class:` of the component to another",
	"storage-full":                        "restore with more storage: enlarge the source's, then make a new plan",
	"stopped":                             "start it, then retry",
	deleting:                              "find out who deletes it; retry the restore",
	"inaccessible-encryption-credentials-recoverable": "let RDS use the key again, start it, then retry",
}

// lost are the states of what never becomes anything: another attempt makes it anew.
var lost = map[string]bool{"failed": true, "incompatible-restore": true, "restore-error": true, deleting: true}

func (k availableKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	kind, name := Instance, p.name()
	switch {
	case p.Member:
		name = p.member()
	case p.Facts.Cluster:
		kind = Cluster
	}
	begun := env.Now()
	told := events{service: p.service, kind: kind, name: name, since: begun.Add(-time.Hour), seen: map[string]bool{}}
	state, silent := "", 0
	for {
		m, err := p.find(ctx, kind, name)
		switch {
		case err != nil && errors.Is(err, storage.ErrUnavailable) && silent < provider.Unanswered:
			silent++
			env.Meter().Note(err.Error())
		case err != nil:
			return recovery.Outcome{}, err
		case m == nil:
			return recovery.Outcome{}, recovery.Errorf("find out who deleted it; retry the restore", "the %s %s is not there any more", kind, name)
		default:
			silent = 0
			if m.status != state {
				state = m.status
				env.Meter().Phase(state, 100, recovery.InItems)
				env.Meter().Log(fmt.Sprintf("%s: %s", m, state))
			}
			if n, err := strconv.ParseInt(strings.TrimSuffix(m.percent, "%"), 10, 64); err == nil {
				env.Meter().Set(n)
			}
			last, err := told.tell(ctx, env.Meter())
			if err != nil && ctx.Err() != nil {
				return recovery.Outcome{}, err
			}
			if hint, is := stuck[m.status]; is {
				if last != "" {
					last = ": " + last
				}
				return recovery.Outcome{}, recovery.Errorf(hint, "the %s is %s%s", m, m.status, last)
			}
			if m.status == available {
				return p.outcome(m, env.Now().Sub(begun), err)
			}
		}
		if err := k.Sleep(ctx, time.Duration(p.Every)); err != nil {
			return recovery.Outcome{}, err
		}
	}
}

// outcome holds what has become available to what was asked for.
func (p place) outcome(m *made, took time.Duration, events error) (recovery.Outcome, error) {
	s := p.Facts.Shape
	if s.Encrypted && !m.encrypted {
		return recovery.Outcome{}, provider.Refused("delete it and tell whoever administers the account", "the source is encrypted, and the %s is not", m)
	}
	if m.resource == p.Facts.Resource {
		return recovery.Outcome{}, provider.Refused("correct the component's endpoint", "the service answers with the source for the %s", m)
	}
	o := recovery.Outcome{Says: fmt.Sprintf("the %s is available, after %s", m, recovery.FormatSpan(took)),
		Facts: map[string]string{"resource id": m.resource, "engine version": m.version, "parameter group": m.parameters, "security groups": strings.Join(m.groups, ", "), "encrypted": strconv.FormatBool(m.encrypted)}}
	for name, v := range map[string]string{"class": m.class, "key": m.key, "arn": m.arn} {
		if v != "" {
			o.Facts[name] = v
		}
	}
	if asked := s.Parameters; m.kind == Instance && asked != "" && m.parameters != asked {
		o.Remarks = append(o.Remarks, fmt.Sprintf("its parameter group is %s, and not %s", m.parameters, asked))
	}
	if m.pending {
		o.Remarks = append(o.Remarks, fmt.Sprintf("the parameter group %s takes effect when it is rebooted", m.parameters))
	}
	if events != nil {
		o.Remarks = append(o.Remarks, "its events could not be read: "+events.Error())
	}
	return o, nil
}

// events tells what the service says of an instance or a cluster, each once.
type events struct {
	service
	kind  recovery.ResourceKind
	name  string
	since time.Time
	seen  map[string]bool
	last  string
}

// tell logs what is new and gives the last that was said.
func (e *events) tell(ctx context.Context, meter recovery.Meter) (string, error) {
	source := types.SourceTypeDbInstance
	if e.kind == Cluster {
		source = types.SourceTypeDbCluster
	}
	pages := rds.NewDescribeEventsPaginator(e, &rds.DescribeEventsInput{SourceIdentifier: &e.name, SourceType: source, StartTime: &e.since})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return e.last, e.refusal(ctx, "DescribeEvents", e.name, err)
		}
		for _, v := range page.Events {
			text := provider.When(aws.ToTime(v.Date)) + " " + aws.ToString(v.Message)
			if e.seen[text] {
				continue
			}
			e.seen[text], e.last = true, aws.ToString(v.Message)
			meter.Log(text)
			meter.Note(e.last)
		}
	}
	return e.last, nil
}

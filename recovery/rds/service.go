package rds

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"comeback/recovery"
	"comeback/storage"
	asking "comeback/storage/account"
)

// account says where the service is asked and who asks; its values may hold
// references.
type account struct {
	Region   string `json:"region,omitempty"`
	Profile  string `json:"profile,omitempty"`
	Role     string `json:"role,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
}

func accountOf(c recovery.Component) account {
	return account{Region: c.Settings.Text("region"), Profile: c.Settings.Text("profile"), Role: c.Settings.Text("role"), Endpoint: c.Settings.Text("endpoint")}
}

// details are an account as those of a claim; accountIn reads them.
func (a account) details() map[string]string {
	return map[string]string{"region": a.Region, "profile": a.Profile, "role": a.Role, "endpoint": a.Endpoint}
}

func accountIn(details map[string]string) account {
	return account{Region: details["region"], Profile: details["profile"], Role: details["role"], Endpoint: details["endpoint"]}
}

// calls are what the engine asks of the service.
type calls interface {
	rds.DescribeDBInstancesAPIClient
	rds.DescribeDBInstanceAutomatedBackupsAPIClient
	rds.DescribeDBSnapshotsAPIClient
	rds.DescribeDBClustersAPIClient
	rds.DescribeDBClusterAutomatedBackupsAPIClient
	rds.DescribeDBClusterSnapshotsAPIClient
	rds.DescribeEventsAPIClient
	RestoreDBInstanceToPointInTime(context.Context, *rds.RestoreDBInstanceToPointInTimeInput, ...func(*rds.Options)) (*rds.RestoreDBInstanceToPointInTimeOutput, error)
	RestoreDBInstanceFromDBSnapshot(context.Context, *rds.RestoreDBInstanceFromDBSnapshotInput, ...func(*rds.Options)) (*rds.RestoreDBInstanceFromDBSnapshotOutput, error)
	RestoreDBClusterToPointInTime(context.Context, *rds.RestoreDBClusterToPointInTimeInput, ...func(*rds.Options)) (*rds.RestoreDBClusterToPointInTimeOutput, error)
	RestoreDBClusterFromSnapshot(context.Context, *rds.RestoreDBClusterFromSnapshotInput, ...func(*rds.Options)) (*rds.RestoreDBClusterFromSnapshotOutput, error)
	CreateDBInstance(context.Context, *rds.CreateDBInstanceInput, ...func(*rds.Options)) (*rds.CreateDBInstanceOutput, error)
	AddTagsToResource(context.Context, *rds.AddTagsToResourceInput, ...func(*rds.Options)) (*rds.AddTagsToResourceOutput, error)
	RemoveTagsFromResource(context.Context, *rds.RemoveTagsFromResourceInput, ...func(*rds.Options)) (*rds.RemoveTagsFromResourceOutput, error)
	ModifyDBInstance(context.Context, *rds.ModifyDBInstanceInput, ...func(*rds.Options)) (*rds.ModifyDBInstanceOutput, error)
	ModifyDBCluster(context.Context, *rds.ModifyDBClusterInput, ...func(*rds.Options)) (*rds.ModifyDBClusterOutput, error)
	DeleteDBInstance(context.Context, *rds.DeleteDBInstanceInput, ...func(*rds.Options)) (*rds.DeleteDBInstanceOutput, error)
	DeleteDBCluster(context.Context, *rds.DeleteDBClusterInput, ...func(*rds.Options)) (*rds.DeleteDBClusterOutput, error)
}

// service is the service of one region, and what to call it.
type service struct {
	calls
	region string
}

// open prepares the service; its first answer shows whether it can be reached.
func (a account) open(ctx context.Context, expand func(string) (string, error)) (service, error) {
	for _, field := range []*string{&a.Region, &a.Profile, &a.Role, &a.Endpoint} {
		text, err := expand(*field)
		if err != nil {
			return service{}, err
		}
		*field = text
	}
	cfg, err := asking.Load(ctx, asking.Options{Region: a.Region, Profile: a.Profile, Role: a.Role})
	if missing, ok := errors.AsType[asking.NoProfile](err); ok {
		return service{}, recovery.Errorf("make it here, with keys that may ask RDS: aws configure --profile "+recovery.ShellWord(missing.Name), "%w", err)
	}
	if err != nil {
		return service{}, recovery.Errorf("correct the component's profile and role, or the environment", "%w", err)
	}
	if cfg.Region == "" {
		return service{}, recovery.Errorf("write `region: eu-central-1` into the component", "the region of RDS is not known").WithExit(recovery.Usage)
	}
	client := rds.NewFromConfig(cfg, func(o *rds.Options) {
		if a.Endpoint != "" {
			o.BaseEndpoint = aws.String(a.Endpoint)
		}
	})
	return service{calls: client, region: cfg.Region}, nil
}

// kinds are the codes of the service in storage's terms, so that expired credentials
// are waited for as those of a copy are.
var kinds = map[string]error{
	"AccessDenied":          storage.ErrDenied,
	"AccessDeniedException": storage.ErrDenied,
	"UnauthorizedOperation": storage.ErrDenied,
	"InvalidClientTokenId":  storage.ErrDenied,
	"SignatureDoesNotMatch": storage.ErrDenied,
	"OptInRequired":         storage.ErrDenied,

	"ExpiredToken":          storage.ErrExpired,
	"ExpiredTokenException": storage.ErrExpired,
	"RequestExpired":        storage.ErrExpired,

	"Throttling":           storage.ErrUnavailable,
	"ThrottlingException":  storage.ErrUnavailable,
	"RequestLimitExceeded": storage.ErrUnavailable,
	"InternalFailure":      storage.ErrUnavailable,
	"InternalError":        storage.ErrUnavailable,
	"ServiceUnavailable":   storage.ErrUnavailable,
}

// hints are what to do about the answers that a restore may get.
var hints = map[string]string{
	"InsufficientDBInstanceCapacity":     "retry in some minutes, or set `class:` or `subnet_group:` of the component to others",
	"InsufficientDBClusterCapacityFault": "retry in some minutes, or set `subnet_group:` of the component to another",
	"InstanceQuotaExceeded":              "remove an instance that nobody needs, or have the quota raised, then retry",
	"DBClusterQuotaExceededFault":        "remove a cluster that nobody needs, or have the quota raised, then retry",
	"StorageQuotaExceeded":               "have the quota of storage raised, then retry",
	"InvalidRestoreFault":                "choose another moment: see comeback moments",
	"PointInTimeRestoreNotEnabled":       "set the source's backup retention to a day or more; until then only its snapshots can be restored",
	"DBSnapshotNotFound":                 "make a new plan: the snapshot is there no more",
	"DBClusterSnapshotNotFoundFault":     "make a new plan: the snapshot is there no more",
	"InvalidParameterCombination":        "change what it says, then retry; what is protected from deletion is deleted when somebody has taken its protection away",
	"DBInstanceNotFound":                 "check `instance:` and `region:` of the component",
	"DBClusterNotFoundFault":             "check `cluster:` and `region:` of the component",
	"KMSKeyNotAccessibleFault":           "let whoever asks use the key of the source: kms:DescribeKey, kms:CreateGrant and kms:Decrypt",
	"DBSubnetGroupNotFoundFault":         "set `subnet_group:` of the component",
	"InvalidVPCNetworkStateFault":        "set `subnet_group:` and `security_groups:` of the component to those of one network",
	"DBParameterGroupNotFound":           "set `parameter_group:` of the component",
}

// refusal is what a call came to in words, with the next step.
func (s service) refusal(ctx context.Context, action, object string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &storage.Error{Op: "ask RDS in " + s.region + " to " + action, Object: object, Kind: storage.ErrUnavailable, Err: err}
	hint := "check the network and the endpoint, then retry; whatever was asked for is found again"
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Says = fmt.Sprintf("%s (%s)", strings.TrimSpace(api.ErrorMessage()), api.ErrorCode())
		known, is := kinds[api.ErrorCode()]
		e.Kind = known
		if !is {
			e.Kind = byStatus(err)
		}
		hint = hints[api.ErrorCode()]
	} else {
		e.Says = words(err)
		var sso *ssocreds.InvalidTokenError
		switch {
		case errors.As(err, &sso):
			e.Kind = storage.ErrExpired
		case strings.Contains(e.Says, "no EC2 IMDS role found"), strings.Contains(e.Says, "static credentials are empty"):
			e.Says, e.Kind = "no credentials were found, neither in the environment, nor in a profile, nor of this instance", storage.ErrDenied
		}
	}
	switch {
	case errors.Is(e.Kind, storage.ErrExpired):
		hint = "sign in again (aws sso login), then retry"
	case errors.Is(e.Kind, storage.ErrDenied):
		hint = fmt.Sprintf("let whoever asks do rds:%s; `aws sts get-caller-identity` says who that is", action)
	case errors.Is(e.Kind, storage.ErrUnavailable) && hint == "":
		hint = "wait a little, then retry; whatever was asked for is found again"
	case hint == "":
		hint = "look at it in the console of RDS, then retry"
	}
	return &recovery.Error{What: e.Error(), Hint: hint, Err: e}
}

// words are those of a request that got no answer.
func words(err error) string {
	if sent, ok := errors.AsType[*url.Error](err); ok {
		return sent.Err.Error()
	}
	return err.Error()
}

// byStatus judges an answer whose code is not known.
func byStatus(err error) error {
	status := 0
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = answer.HTTPStatusCode()
	}
	switch {
	case status == 401, status == 403:
		return storage.ErrDenied
	case status == 429, status >= 500, status == 0:
		return storage.ErrUnavailable
	}
	return nil
}

// code is the code of the service's answer, or "".
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// The codes that the engine acts on.
const (
	noInstance       = "DBInstanceNotFound"
	noCluster        = "DBClusterNotFoundFault"
	instanceExists   = "DBInstanceAlreadyExists"
	clusterExists    = "DBClusterAlreadyExistsFault"
	wrongInstanceNow = "InvalidDBInstanceState"
	wrongClusterNow  = "InvalidDBClusterStateFault"
)

// absent reports whether the service says that what was asked for is not there.
func absent(err error) bool { return code(err) == noInstance || code(err) == noCluster }

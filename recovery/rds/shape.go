package rds

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"comeback/recovery"
)

// shape is how a source is made, and so what is asked for when it is restored. What is
// empty is the service's choice.
type shape struct {
	Class          string            `json:"class,omitempty"`
	Engine         string            `json:"engine,omitempty"`
	Version        string            `json:"version,omitempty"`
	Parameters     string            `json:"parameters,omitempty"`
	SubnetGroup    string            `json:"subnet_group,omitempty"`
	SecurityGroups []string          `json:"security_groups,omitempty"`
	Options        string            `json:"options,omitempty"`
	License        string            `json:"license,omitempty"`
	Network        string            `json:"network,omitempty"`
	Authority      string            `json:"authority,omitempty"`
	Logs           []string          `json:"logs,omitempty"`
	Storage        int32             `json:"storage,omitempty"`
	StorageType    string            `json:"storage_type,omitempty"`
	IOPS           int32             `json:"iops,omitempty"`
	Throughput     int32             `json:"throughput,omitempty"`
	Port           int32             `json:"port,omitempty"`
	Encrypted      bool              `json:"encrypted,omitempty"`
	Key            string            `json:"key,omitempty"`
	MultiAZ        bool              `json:"multi_az,omitempty"`
	Public         bool              `json:"public,omitempty"`
	IAM            bool              `json:"iam,omitempty"`
	CopyTags       bool              `json:"copy_tags,omitempty"`
	MinorUpgrades  bool              `json:"minor_upgrades,omitempty"`
	Protected      bool              `json:"protected,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	User           string            `json:"user,omitempty"`
	Database       string            `json:"database,omitempty"`
	// Of Aurora: the parameter group of the cluster, and what a serverless one may
	// grow to. ClusterClass is that of a cluster whose instances are not asked for
	// one by one.
	ClusterParameters string  `json:"cluster_parameters,omitempty"`
	ClusterClass      string  `json:"cluster_class,omitempty"`
	MinCapacity       float64 `json:"min_capacity,omitempty"`
	MaxCapacity       float64 `json:"max_capacity,omitempty"`
	// Readers are the cluster's other instances, which are not made anew.
	Readers []string `json:"readers,omitempty"`
}

// instanceShape is how an instance is made.
func instanceShape(i types.DBInstance) shape {
	s := shape{Class: aws.ToString(i.DBInstanceClass), Engine: aws.ToString(i.Engine), Version: aws.ToString(i.EngineVersion), License: aws.ToString(i.LicenseModel),
		Network: aws.ToString(i.NetworkType), Authority: aws.ToString(i.CACertificateIdentifier), Logs: i.EnabledCloudwatchLogsExports,
		Storage: aws.ToInt32(i.AllocatedStorage), StorageType: aws.ToString(i.StorageType), IOPS: aws.ToInt32(i.Iops), Throughput: aws.ToInt32(i.StorageThroughput),
		Encrypted: aws.ToBool(i.StorageEncrypted), Key: aws.ToString(i.KmsKeyId), MultiAZ: aws.ToBool(i.MultiAZ), Public: aws.ToBool(i.PubliclyAccessible),
		IAM: aws.ToBool(i.IAMDatabaseAuthenticationEnabled), CopyTags: aws.ToBool(i.CopyTagsToSnapshot), MinorUpgrades: aws.ToBool(i.AutoMinorVersionUpgrade),
		Protected: aws.ToBool(i.DeletionProtection), Tags: tagsOf(i.TagList), User: aws.ToString(i.MasterUsername), Database: aws.ToString(i.DBName), SecurityGroups: groupsOf(i.VpcSecurityGroups)}
	if len(i.DBParameterGroups) > 0 {
		s.Parameters = aws.ToString(i.DBParameterGroups[0].DBParameterGroupName)
	}
	if len(i.OptionGroupMemberships) > 0 {
		s.Options = aws.ToString(i.OptionGroupMemberships[0].OptionGroupName)
	}
	if i.DBSubnetGroup != nil {
		s.SubnetGroup = aws.ToString(i.DBSubnetGroup.DBSubnetGroupName)
	}
	if i.Endpoint != nil {
		s.Port = aws.ToInt32(i.Endpoint.Port)
	}
	return s
}

// clusterShape is how a cluster is made; what its instances are made like is its
// writer's.
func clusterShape(c types.DBCluster, writer *types.DBInstance) shape {
	s := shape{}
	if writer != nil {
		s = instanceShape(*writer)
	}
	s.Engine, s.Version, s.Network = aws.ToString(c.Engine), aws.ToString(c.EngineVersion), aws.ToString(c.NetworkType)
	s.ClusterParameters, s.SubnetGroup, s.SecurityGroups = aws.ToString(c.DBClusterParameterGroup), aws.ToString(c.DBSubnetGroup), groupsOf(c.VpcSecurityGroups)
	s.Logs, s.Port, s.Encrypted, s.Key = c.EnabledCloudwatchLogsExports, aws.ToInt32(c.Port), aws.ToBool(c.StorageEncrypted), aws.ToString(c.KmsKeyId)
	s.Storage, s.StorageType, s.IOPS, s.Throughput = aws.ToInt32(c.AllocatedStorage), aws.ToString(c.StorageType), aws.ToInt32(c.Iops), 0
	s.IAM, s.CopyTags, s.Protected = aws.ToBool(c.IAMDatabaseAuthenticationEnabled), aws.ToBool(c.CopyTagsToSnapshot), aws.ToBool(c.DeletionProtection)
	s.Tags, s.User, s.Database, s.ClusterClass = tagsOf(c.TagList), aws.ToString(c.MasterUsername), aws.ToString(c.DatabaseName), aws.ToString(c.DBClusterInstanceClass)
	s.Options, s.License, s.MultiAZ, s.Readers = "", "", false, readersOf(c)
	if v2 := c.ServerlessV2ScalingConfiguration; v2 != nil {
		s.MinCapacity, s.MaxCapacity = aws.ToFloat64(v2.MinCapacity), aws.ToFloat64(v2.MaxCapacity)
	}
	return s
}

// like is the shape with what no backup keeps taken from another's. Parameters are those of a
// major version, and not taken from another one's.
func (s shape) like(o shape) shape {
	s.Class, s.SubnetGroup, s.SecurityGroups = o.Class, o.SubnetGroup, o.SecurityGroups
	s.Network, s.Authority, s.Logs, s.MultiAZ, s.Public = o.Network, o.Authority, o.Logs, o.MultiAZ, o.Public
	s.CopyTags, s.MinorUpgrades, s.Protected = o.CopyTags, o.MinorUpgrades, o.Protected
	s.Database, s.ClusterClass, s.MinCapacity, s.MaxCapacity = o.Database, o.ClusterClass, o.MinCapacity, o.MaxCapacity
	if s.major() == o.major() {
		s.Parameters, s.ClusterParameters = o.Parameters, o.ClusterParameters
	}
	return s
}

// major is that of PostgreSQL.
func (s shape) major() string {
	major, _, _ := strings.Cut(s.Version, ".")
	return major
}

// then is the shape of today for a snapshot of the same source, with the version and the
// options that the snapshot tells. Of one from before a major upgrade it takes what fits
// every version, and no group of parameters or options.
func (s shape) then(kept shape) shape {
	if kept.Version != "" && kept.major() != s.major() {
		kept = kept.like(s)
		kept.Readers = s.Readers
		return kept
	}
	s.Version, s.Options = cmp.Or(kept.Version, s.Version), cmp.Or(kept.Options, s.Options)
	return s
}

// with is the shape with what the runbook says otherwise.
func (s shape) with(c recovery.Component) shape {
	s.Class = cmp.Or(c.Settings.Text("class"), s.Class)
	s.SubnetGroup = cmp.Or(c.Settings.Text("subnet_group"), s.SubnetGroup)
	s.Parameters = cmp.Or(c.Settings.Text("parameter_group"), s.Parameters)
	if groups := c.Settings["security_groups"]; len(groups) > 0 {
		s.SecurityGroups = groups
	}
	return s
}

// says is the shape in a few words.
func (s shape) says() string {
	parts := []string{cmp.Or(s.Class, s.ClusterClass, "an instance of a class that the service chooses")}
	if s.Storage > 1 {
		parts = append(parts, strings.TrimSpace(recovery.FormatBytes(int64(s.Storage)<<30)+" "+s.StorageType))
	}
	if s.MultiAZ {
		parts = append(parts, "in two zones")
	}
	return strings.Join(parts, ", ")
}

func groupsOf(all []types.VpcSecurityGroupMembership) []string {
	var ids []string
	for _, g := range all {
		ids = append(ids, aws.ToString(g.VpcSecurityGroupId))
	}
	return ids
}

// tagsOf are the tags that people have given; the service's own cannot be given.
func tagsOf(all []types.Tag) map[string]string {
	tags := map[string]string{}
	for _, t := range all {
		if key := aws.ToString(t.Key); !strings.HasPrefix(key, "aws:") && !strings.HasPrefix(key, tagPrefix) {
			tags[key] = aws.ToString(t.Value)
		}
	}
	return tags
}

// tagPrefix is what comeback's own tags begin with.
const tagPrefix = "comeback:"

// tags are the source's and the run's own, in order.
func (s shape) tags(own map[string]string) []types.Tag {
	all := maps.Clone(own)
	for key, v := range s.Tags {
		all[key] = v
	}
	var tags []types.Tag
	for _, key := range slices.Sorted(maps.Keys(all)) {
		tags = append(tags, types.Tag{Key: aws.String(key), Value: aws.String(all[key])})
	}
	return tags
}

// Optional arguments: what is empty is not asked for.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return aws.String(s)
}

func number(n int32) *int32 {
	if n == 0 {
		return nil
	}
	return aws.Int32(n)
}

package gate_test

import (
	"context"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/gate"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// BenchmarkAuthorize is what every request pays: an administrator's, and that of
// a user with policies (without the look-up of the resource).
func BenchmarkAuthorize(b *testing.B) {
	d, err := access.NewDirectory([]access.Account{{ID: alice, Users: []access.User{{Name: "admin", Keys: []access.AccessKey{{ID: "AKIA"}}, Policies: []*access.Policy{access.Administrator}}}}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	key, _ := d.Key("AKIA")
	admin := identity.Caller{Account: alice, Region: "us-east-1", ARN: key.ARN, Principal: key.Principal}
	user := caller(b, allow("imagebuilder:List*", "*"), allow("imagebuilder:Get*", prefix+"component/${aws:PrincipalTag/team}/*"))
	arn := prefix + "component/web/1.0.0/1"
	g := gate.New(looked(resources{arn: {ARN: arn}}), nil)
	op := &shape.Operation{Name: "GetComponent"}
	for name, who := range map[string]identity.Caller{"administrator": admin, "user": user} {
		b.Run(name, func(b *testing.B) {
			ctx := identity.With(context.Background(), who)
			b.ReportAllocs()
			for b.Loop() {
				if err := g.Authorize(ctx, services["imagebuilder"], op, &api.GetComponentInput{ComponentBuildVersionArn: &arn}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

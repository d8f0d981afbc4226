package imagebuilder_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// share is a policy that lets principals do something with a resource.
func share(principal, action, resource string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": %s, "Action": ["%s"], "Resource": ["%s"]}]}`, principal, action, resource)
}

const toBob = `{"AWS": ["222222222222"]}`

// user is a request of a user of an account, as the wire has it.
func (f *fixture) user(account, name string) context.Context {
	arn := "arn:aws:iam::" + account + ":user/" + name
	return identity.With(f.Context(), identity.Caller{Account: account, Region: home, ARN: arn, Principal: &access.Principal{Account: account, ARN: arn, User: name}})
}

func (f *fixture) share(component, policy string) {
	f.Helper()
	must(f.PutComponentPolicy(f.ctx, &api.PutComponentPolicyInput{ComponentArn: p(component), Policy: p(policy)}))(f)
}

func TestPoliciesComeBackAsTheyWereSent(t *testing.T) {
	t.Parallel()
	f := open(t)
	arn := f.component("web", "1.0.0", document)
	_, err := f.GetComponentPolicy(f.ctx, &api.GetComponentPolicyInput{ComponentArn: p(arn)})
	wantFault(t, err, "ResourceNotFoundException", arn, "no policy")
	for _, policy := range []string{share(toBob, "imagebuilder:GetComponent", arn), share(`"*"`, "imagebuilder:*", "*") + "  "} {
		f.share(arn, policy)
		got := must(f.GetComponentPolicy(f.ctx, &api.GetComponentPolicyInput{ComponentArn: p(arn)}))(t)
		if *got.Policy != policy {
			t.Errorf("got %s, want %s", *got.Policy, policy)
		}
	}
	// Deleting the resource deletes its policy: its namesake is shared with nobody.
	must(f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(arn)}))(t)
	_, err = f.GetComponentPolicy(f.ctx, &api.GetComponentPolicyInput{ComponentArn: p(arn)})
	wantFault(t, err, "ResourceNotFoundException", arn)
	if err := f.store.Read(t.Context(), func(tx *store.Tx) error {
		_, ok, err := tx.Resource("policy:" + arn)
		if ok {
			t.Error("the policy is still there")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	t.Parallel()
	f := open(t)
	arn, other := f.component("web", "1.0.0", document), f.component("db", "1.0.0", document)
	for name, c := range map[string]struct{ policy, says string }{
		"not JSON":             {"{", "not valid JSON"},
		"nobody":               {`{"Statement": {"Effect": "Allow", "Action": "imagebuilder:GetComponent", "Resource": "*"}}`, "Statement[0]: Principal is missing"},
		"another resource":     {share(toBob, "imagebuilder:GetComponent", other), "Statement[0]: Resource"},
		"a change":             {share(toBob, "imagebuilder:DeleteComponent", arn), "imagebuilder:deletecomponent"},
		"another service":      {share(toBob, "s3:*", arn), "Statement[0]: Action"},
		"all but one action":   {`{"Statement": {"Effect": "Allow", "Principal": "*", "NotAction": "imagebuilder:GetComponent", "Resource": "*"}}`, "opposites"},
		"a variable":           {share(toBob, "imagebuilder:GetComponent", "arn:aws:imagebuilder:us-east-1:111111111111:component/${aws:username}/1.0.0/1"), "Resource"},
		"a principal wildcard": {share(`{"AWS": "arn:aws:iam::222222222222:*"}`, "imagebuilder:GetComponent", arn), "without wildcards"},
	} {
		_, err := f.PutComponentPolicy(f.ctx, &api.PutComponentPolicyInput{ComponentArn: p(arn), Policy: p(c.policy)})
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		wantFault(t, err, "InvalidParameterValueException", "The value supplied for parameter 'policy' is not valid", c.says)
	}
	_, err := f.PutComponentPolicy(f.ctx, &api.PutComponentPolicyInput{ComponentArn: p(prefix + "component/none/1.0.0/1"), Policy: p(share(toBob, "imagebuilder:GetComponent", "*"))})
	wantFault(t, err, "ResourceNotFoundException", "component/none")
	// Nobody but the owner reads or writes a policy, shared or not.
	f.share(arn, share(`"*"`, "imagebuilder:*", arn))
	for _, ctx := range []context.Context{f.as(bob, home), f.user(bob, "x")} {
		_, err := f.PutComponentPolicy(ctx, &api.PutComponentPolicyInput{ComponentArn: p(arn), Policy: p(share(toBob, "imagebuilder:GetComponent", arn))})
		wantFault(t, err, "AccessDeniedException", "imagebuilder:PutComponentPolicy")
		_, err = f.GetComponentPolicy(ctx, &api.GetComponentPolicyInput{ComponentArn: p(arn)})
		wantFault(t, err, "AccessDeniedException", "imagebuilder:GetComponentPolicy")
	}
}

func TestWhoMaySeeWhatIsShared(t *testing.T) {
	t.Parallel()
	f := open(t, func(c *imagebuilder.Config) {
		c.Places = func(account string) access.Place {
			return map[string]access.Place{bob: {Organization: "o-abcdefghij", Path: "o-abcdefghij/r-ab12/"}}[account]
		}
	})
	arn := f.component("web", "1.0.0", document)
	get := func(ctx context.Context, arn string) error {
		_, err := f.GetComponent(ctx, &api.GetComponentInput{ComponentBuildVersionArn: p(arn)})
		return err
	}
	inOrganization := f.user(bob, "x")
	caller := identity.From(inOrganization)
	caller.Principal.(*access.Principal).Place = access.Place{Organization: "o-abcdefghij"}
	byOrganization := `{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "imagebuilder:GetComponent", "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}}}`
	for name, c := range map[string]struct {
		policy string
		ctx    context.Context
		want   bool
	}{
		"nothing shared":          {"", f.user(bob, "x"), false},
		"with the account":        {share(toBob, "imagebuilder:GetComponent", arn), f.user(bob, "x"), true},
		"with another account":    {share(`{"AWS": "333333333333"}`, "imagebuilder:GetComponent", arn), f.user(bob, "x"), false},
		"with the user":           {share(`{"AWS": "arn:aws:iam::222222222222:user/x"}`, "imagebuilder:GetComponent", arn), f.user(bob, "x"), true},
		"with another user":       {share(`{"AWS": "arn:aws:iam::222222222222:user/y"}`, "imagebuilder:GetComponent", arn), f.user(bob, "x"), false},
		"a user's build":          {share(`{"AWS": "arn:aws:iam::222222222222:user/y"}`, "imagebuilder:GetComponent", arn), f.as(bob, home), true},
		"to be listed only":       {share(toBob, "imagebuilder:ListComponents", arn), f.user(bob, "x"), false},
		"with the organisation":   {byOrganization, inOrganization, true},
		"the organisation's job":  {byOrganization, f.as(bob, home), true},
		"outside of it":           {byOrganization, f.user("333333333333", "x"), false},
		"another organisation":    {byOrganization, f.as("333333333333", home), false},
		"with all but the denied": {strings.Replace(share(`"*"`, "imagebuilder:GetComponent", arn), "}]", `}, {"Effect": "Deny", "Principal": {"AWS": "222222222222"}, "Action": "imagebuilder:*", "Resource": "*"}]`, 1), f.user(bob, "x"), false},
	} {
		if c.policy != "" {
			f.share(arn, c.policy)
		}
		for _, asked := range []string{arn, prefix + "component/web/x.x.x", prefix + "component/web/1.0.0"} {
			err := get(c.ctx, asked)
			if c.want && err != nil {
				t.Errorf("%s: %s: %v", name, asked, err)
			}
			if !c.want {
				wantFault(t, err, "AccessDeniedException", "imagebuilder:GetComponent on resource: "+asked)
			}
		}
		out := must(f.ListComponents(c.ctx, &api.ListComponentsInput{Owner: p(api.OwnershipShared)}))(t)
		if got := len(out.ComponentVersionList) == 1; got != c.want {
			t.Errorf("%s: the list has %d", name, len(out.ComponentVersionList))
		}
	}
	if out := must(f.ListComponents(f.ctx, &api.ListComponentsInput{Owner: p(api.OwnershipShared)}))(t); len(out.ComponentVersionList) != 0 {
		t.Error("one's own is shared with oneself")
	}
	if out := must(f.ListComponents(f.as(bob, "eu-west-1"), &api.ListComponentsInput{Owner: p(api.OwnershipShared)}))(t); len(out.ComponentVersionList) != 0 {
		t.Error("what is shared is in every region")
	}
}

// What is shared is used, and never changed; and its owner may take it away.
func TestUsingWhatIsShared(t *testing.T) {
	t.Parallel()
	f := open(t)
	arn := f.component("web", "1.0.0", document)
	his := f.as(bob, home)
	in := f.recipeInput("his", "1.0.0", arn)
	_, err := f.CreateImageRecipe(his, in)
	wantFault(t, err, "AccessDeniedException", arn)
	f.share(arn, share(toBob, "imagebuilder:*", arn))
	recipe := *must(f.CreateImageRecipe(his, in))(t).ImageRecipeArn

	infra := *must(f.CreateInfrastructureConfiguration(his, &api.CreateInfrastructureConfigurationInput{Name: p("infra"), InstanceProfileName: p("profile"), ClientToken: f.token()}))(t).InfrastructureConfigurationArn
	made := *must(f.CreateImage(his, &api.CreateImageInput{ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: p(infra), ClientToken: f.token()}))(t).ImageBuildVersionArn
	plan := must(f.Plan(t.Context(), made))(t)
	if len(plan.Components) != 1 || plan.Components[0].ARN != arn {
		t.Errorf("the plan has the components %+v", plan.Components)
	}

	for name, err := range map[string]error{
		"delete": second(f.DeleteComponent(his, &api.DeleteComponentInput{ComponentBuildVersionArn: p(arn)})),
		"tag":    second(f.TagResource(his, &api.TagResourceInput{ResourceArn: p(arn), Tags: map[string]string{"a": "b"}})),
		"untag":  second(f.UntagResource(his, &api.UntagResourceInput{ResourceArn: p(arn), TagKeys: []string{"a"}})),
		"tags":   second(f.ListTagsForResource(his, &api.ListTagsForResourceInput{ResourceArn: p(arn)})),
	} {
		if err == nil {
			t.Errorf("%s: what is shared was changed", name)
			continue
		}
		wantFault(t, err, "AccessDeniedException", arn)
	}
	// A recipe of another account's keeps nobody from deleting.
	f.share(arn, share(`{"AWS": "333333333333"}`, "imagebuilder:*", arn))
	_, err = f.Plan(t.Context(), made)
	wantFault(t, err, "ClientException", arn, "is not shared with the account 222222222222")
	must(f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(arn)}))(t)
	_, err = f.Plan(t.Context(), made)
	wantFault(t, err, "ClientException", arn)
}

func second[T any](_ T, err error) error { return err }

// A recipe and an image are shared as components are.
func TestSharedRecipesAndImages(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	recipe, his := prefix+"image-recipe/web/1.0.0", f.as(bob, home)
	_, err := f.GetImageRecipe(his, &api.GetImageRecipeInput{ImageRecipeArn: p(recipe)})
	wantFault(t, err, "AccessDeniedException", recipe)
	must(f.PutImageRecipePolicy(f.ctx, &api.PutImageRecipePolicyInput{ImageRecipeArn: p(recipe), Policy: p(share(toBob, "imagebuilder:GetImageRecipe", recipe))}))(t)
	must(f.GetImageRecipe(his, &api.GetImageRecipeInput{ImageRecipeArn: p(recipe)}))(t)
	if out := must(f.ListImageRecipes(his, &api.ListImageRecipesInput{Owner: p(api.OwnershipShared)}))(t); len(out.ImageRecipeSummaryList) != 1 || *out.ImageRecipeSummaryList[0].Owner != alice {
		t.Errorf("recipes %+v", out.ImageRecipeSummaryList)
	}
	_, err = f.DeleteImageRecipe(his, &api.DeleteImageRecipeInput{ImageRecipeArn: p(recipe)})
	wantFault(t, err, "AccessDeniedException")

	image := f.finished(pipe, home)
	_, err = f.GetImage(his, &api.GetImageInput{ImageBuildVersionArn: p(image)})
	wantFault(t, err, "AccessDeniedException", image)
	in := f.recipeInput("child", "1.0.0")
	in.ParentImage = p(image)
	_, err = f.CreateImageRecipe(his, in)
	wantFault(t, err, "AccessDeniedException", image)
	must(f.PutImagePolicy(f.ctx, &api.PutImagePolicyInput{ImageArn: p(image), Policy: p(share(toBob, "imagebuilder:GetImage", image))}))(t)
	must(f.GetImage(his, &api.GetImageInput{ImageBuildVersionArn: p(image)}))(t)
	must(f.CreateImageRecipe(his, in))(t)
	out := must(f.ListImages(his, &api.ListImagesInput{Owner: p(api.OwnershipShared)}))(t)
	if len(out.ImageVersionList) != 1 || *out.ImageVersionList[0].Owner != alice || *out.ImageVersionList[0].Arn != prefix+"image/web/1.0.0" {
		t.Errorf("images %+v", out.ImageVersionList)
	}
	for _, err := range []error{
		second(f.DeleteImage(his, &api.DeleteImageInput{ImageBuildVersionArn: p(image)})),
		second(f.CancelImageCreation(his, &api.CancelImageCreationInput{ImageBuildVersionArn: p(image), ClientToken: f.token()})),
		second(f.ListImagePackages(his, &api.ListImagePackagesInput{ImageBuildVersionArn: p(image)})),
	} {
		wantFault(t, err, "AccessDeniedException", image)
	}
}

// Pages of what is shared: every name of every account once, in order.
func TestPagesOfWhatIsShared(t *testing.T) {
	t.Parallel()
	f := open(t)
	third := f.as("333333333333", home)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("web-%d", i)
		arn := f.component(name, "1.0.0", document)
		f.share(arn, share(toBob, "imagebuilder:GetComponent", arn))
		again := f.componentInput(name, "1.0.0", document)
		again.Description = p("changed") // a second build, which is not shared
		must(f.CreateComponent(f.ctx, again))(t)
		theirs := *must(f.CreateComponent(third, f.componentInput(name, "1.0.0", document)))(t).ComponentBuildVersionArn
		must(f.PutComponentPolicy(third, &api.PutComponentPolicyInput{ComponentArn: p(theirs), Policy: p(share(`"*"`, "imagebuilder:GetComponent", theirs))}))(t)
		want = append(want, strings.TrimSuffix(arn, "/1"), strings.TrimSuffix(theirs, "/1"))
	}
	var got []string
	var next *string
	for range 20 {
		out := must(f.ListComponents(f.as(bob, home), &api.ListComponentsInput{Owner: p(api.OwnershipShared), MaxResults: p[int32](3), NextToken: next}))(t)
		for _, c := range out.ComponentVersionList {
			got = append(got, *c.Arn)
		}
		if next = out.NextToken; next == nil {
			break
		}
	}
	same(t, "shared components", got, want)
}

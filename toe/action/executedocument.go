package action

import "context"

// runExecuteDocument hands the document to the run that the step belongs to.
func runExecuteDocument(ctx context.Context, h *Host, in Inputs) (Result, error) {
	e := in.Entries[0]
	return h.Document(ctx, DocumentCall{
		Location:   e.String("document"),
		Owner:      e.String("document-s3-bucket-owner"),
		Phases:     e.String("phases"),
		Parameters: e.Pairs("parameters"),
	})
}

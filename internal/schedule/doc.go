// Package schedule reads the schedule expressions of pipelines, cron(…) and
// rate(…) in EventBridge's dialect, and says when they are due next.
//
// It is a leaf below the Image Builder service.
package schedule

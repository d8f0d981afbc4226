package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/server"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// deadLetter is a message that was given up, as 'goldsmith dead-letters' shows it.
type deadLetter struct {
	To       string    `json:"to"` // "sns:" and a subscription, or "webhook:" and a URL
	Created  time.Time `json:"created"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	Body     string    `json:"body"`
}

// deadLettersCommand is 'goldsmith dead-letters'.
func deadLettersCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dead-letters",
		Short: "List the messages that their receivers did not take",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := deadLetters(cmd)
			if err != nil {
				return err
			}
			var lines []string
			for _, d := range all {
				lines = append(lines, fmt.Sprintf("%s  %s  %d attempts: %s", d.Created.Format(time.RFC3339), d.To, d.Attempts, printable(d.Error)))
			}
			if len(lines) == 0 {
				lines = []string{"There are none."}
			}
			return printResult(cmd, map[string]any{"deadLetters": all}, strings.Join(lines, "\n"))
		},
	}
}

func deadLetters(cmd *cobra.Command) ([]deadLetter, error) {
	cfg, data, err := existingData(cmd)
	if err != nil {
		return nil, err
	}
	all := []deadLetter{}
	if _, err := os.Stat(data.Database()); err != nil && cfg.Database == "" {
		return all, nil
	}
	rows, err := server.OpenStore(cmd.Context(), cfg, data)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	const page = 500
	for after := int64(0); ; {
		var some []store.Delivery
		err := rows.Read(cmd.Context(), func(tx *store.Tx) (err error) {
			some, err = tx.DeadDeliveries(after, page)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, d := range some {
			after = d.ID
			all = append(all, deadLetter{d.Target, d.Created, d.Attempts, d.Error, string(d.Body)})
		}
		if len(some) < page {
			return all, nil
		}
	}
}

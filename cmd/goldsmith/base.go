package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/base"
	"github.com/goldsmith-build/goldsmith/internal/server"
)

// baseCommand is 'goldsmith base build|import|list'.
func baseCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "base", Short: "Make, import and list parent images", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(baseBuildCommand(), baseImportCommand(), baseListCommand())
	return cmd
}

// openParents opens the parent images of the command's data folder.
func openParents(cmd *cobra.Command) (*base.Store, error) {
	cfg, data, err := openData(cmd)
	if err != nil {
		return nil, err
	}
	disks, err := server.OpenDisks(cmd.Context(), cfg, data)
	if err != nil {
		return nil, err
	}
	return base.Open(data.Parents(), disks.Store)
}

// baseBuildCommand is 'goldsmith base build NAME'.
func baseBuildCommand() *cobra.Command {
	var opts base.BuildOptions
	cmd := &cobra.Command{
		Use:   "build NAME",
		Short: "Bootstrap a parent image from this machine's package mirror (debian-12-x86)",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			parents, err := openParents(cmd)
			if err != nil {
				return err
			}
			start := time.Now()
			opts.Progress = progress(cmd)
			parent, err := parents.Build(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			return printParent(cmd, parent, start)
		},
	}
	cmd.Flags().StringVar(&opts.Cache, "cache", "", "a folder that keeps the finished disk for other data folders")
	cmd.Flags().StringVar(&opts.Mirror, "mirror", "", "the URL of a package archive (default: this machine's own settings)")
	return cmd
}

// baseImportCommand is 'goldsmith base import FILE|URL --name NAME'.
func baseImportCommand() *cobra.Command {
	var name string
	var opts base.ImportOptions
	cmd := &cobra.Command{
		Use:   "import FILE|URL --name NAME",
		Short: "Take a disk (raw, qcow2, vmdk, vhd) as a parent image",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if name == "" {
				return usageError{fmt.Errorf("--name is missing: what recipes call the image, such as ubuntu-server-24-lts-x86")}
			}
			parents, err := openParents(cmd)
			if err != nil {
				return err
			}
			start := time.Now()
			opts.Progress = progress(cmd)
			opts.Name = name
			parent, err := parents.Import(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			return printParent(cmd, parent, start)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what recipes call the image")
	cmd.Flags().StringVar(&opts.Version, "version", "", "x.y.z (default: today's date)")
	cmd.Flags().StringVar(&opts.OSVersion, "os-version", "", "such as 'Amazon Linux 2023' (default: found out from an ext4 root)")
	cmd.Flags().StringVar(&opts.Architecture, "architecture", "", "x86_64 or arm64 (default: found out from an ext4 root)")
	cmd.Flags().StringVar(&opts.SHA256, "sha256", "", "refuse a file with another SHA-256")
	return cmd
}

// baseListCommand is 'goldsmith base list'.
func baseListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the parent images that are here",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			parents, err := openParents(cmd)
			if err != nil {
				return err
			}
			list, err := parents.List()
			if err != nil {
				return err
			}
			lines := make([]string, 0, len(list))
			for _, p := range list {
				lines = append(lines, describe(p))
			}
			if len(lines) == 0 {
				lines = append(lines, "There is no parent image yet: goldsmith base build debian-12-x86")
			}
			return printResult(cmd, list, strings.Join(lines, "\n"))
		},
	}
}

// describe is a parent in one line.
func describe(p base.Parent) string {
	return fmt.Sprintf("%s/%s/%d  %s, %s, %.1f GiB, %s", p.Name, p.Version, p.Build, p.OSVersion, p.Architecture, float64(p.Size)/(1<<30), strings.Join(p.BootModes, " and "))
}

// printParent prints what was made.
func printParent(cmd *cobra.Command, p base.Parent, start time.Time) error {
	return printResult(cmd, p, fmt.Sprintf("%s (%.1f s)", describe(p), time.Since(start).Seconds()))
}

// progress prints lines for people; programs get none.
func progress(cmd *cobra.Command) func(string) {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return func(string) {}
	}
	return func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }
}

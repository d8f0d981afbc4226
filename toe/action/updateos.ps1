# Installs Windows updates. The two files hold what to take and what to leave
# out, one a line: "KB <number>" or "TITLE <regular expression>".
param([Parameter(Mandatory = $true)][string]$IncludeFile, [Parameter(Mandatory = $true)][string]$ExcludeFile)
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2

$restart = 3010 # the status that asks for a restart and another run
$include = @(Get-Content -LiteralPath $IncludeFile -Encoding UTF8 | Where-Object { $_ })
$exclude = @(Get-Content -LiteralPath $ExcludeFile -Encoding UTF8 | Where-Object { $_ })

function Test-Listed($update, $lines) {
    foreach ($line in $lines) {
        $kind, $text = $line -split ' ', 2
        if ($kind -eq 'KB') {
            if (@($update.KBArticleIDs) -contains $text) { return $true }
        }
        elseif ($update.Title -match $text) { return $true }
    }
    return $false
}

function Find-Update($session, $tried) {
    $found = @{}
    $failure = $null
    $answered = 0
    foreach ($service in @((New-Object -ComObject Microsoft.Update.ServiceManager).Services)) {
        $searcher = $session.CreateUpdateSearcher()
        $searcher.ServerSelection = 3 # the service that ServiceID names
        $searcher.ServiceID = $service.ServiceID
        try {
            $result = $searcher.Search('IsInstalled=0 and IsHidden=0')
            $answered++
        }
        catch {
            $failure = $_
            Write-Output "The update service $($service.Name) does not answer: $_"
            continue
        }
        foreach ($update in @($result.Updates)) {
            $id = $update.Identity.UpdateID
            if ($tried.ContainsKey($id) -or $found.ContainsKey($id)) { continue }
            if ($include.Count -gt 0 -and -not (Test-Listed $update $include)) { continue }
            if (Test-Listed $update $exclude) { continue }
            if ($update.InstallationBehavior.CanRequestUserInput) {
                Write-Output "Left out, since it may ask questions: $($update.Title)"
                continue
            }
            $found[$id] = $update
        }
    }
    if ($answered -eq 0 -and $null -ne $failure) { throw $failure }
    return $found
}

if ((New-Object -ComObject Microsoft.Update.SystemInfo).RebootRequired) {
    Write-Output 'A restart is due from before.'
    exit $restart
}

$session = New-Object -ComObject Microsoft.Update.Session
$tried = @{}
$failed = 0
while ($true) {
    $output = @(Find-Update $session $tried)
    $output | Where-Object { $_ -is [string] } | ForEach-Object { Write-Output $_ }
    $found = $output | Where-Object { $_ -is [hashtable] }
    Write-Output "Updates to process: $($found.Count)"
    if ($found.Count -eq 0) { break }

    $batch = New-Object -ComObject Microsoft.Update.UpdateColl
    foreach ($id in $found.Keys) {
        $update = $found[$id]
        $tried[$id] = $true
        Write-Output "Installing: $($update.Title)"
        if (-not $update.EulaAccepted) { $update.AcceptEula() }
        [void]$batch.Add($update)
    }
    $downloader = $session.CreateUpdateDownloader()
    $downloader.Updates = $batch
    [void]$downloader.Download()

    $ready = New-Object -ComObject Microsoft.Update.UpdateColl
    foreach ($update in @($batch)) {
        if ($update.IsDownloaded) { [void]$ready.Add($update) }
        else {
            $failed++
            Write-Output "Not downloaded: $($update.Title)"
        }
    }
    if ($ready.Count -eq 0) { continue }
    $installer = $session.CreateUpdateInstaller()
    $installer.Updates = $ready
    $result = $installer.Install()
    for ($i = 0; $i -lt $ready.Count; $i++) {
        $one = $result.GetUpdateResult($i)
        if ($one.ResultCode -ne 2 -and $one.ResultCode -ne 3) { # succeeded, succeeded with errors
            $failed++
            Write-Output ('Failed with 0x{0:X8}: {1}' -f $one.HResult, $ready.Item($i).Title)
        }
    }
    if ($result.RebootRequired) { exit $restart }
}
if ($failed -gt 0) {
    Write-Output "$failed updates failed"
    exit 1
}
exit 0

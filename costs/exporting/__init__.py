"""An organisation's costs as files: what can be exported, where it goes, when, and who may fetch it.

The job that writes files is `projects.exports`; this package adds sources over all projects, destinations
(S3-compatible buckets), schedules that send what changed, and signed links.
"""

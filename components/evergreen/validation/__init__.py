"""Data contracts: inferring them, checking data against them, and reporting violations."""

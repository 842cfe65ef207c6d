// The input of relay-compiler: operations and a fragment, as in an application's components.

import { graphql } from "relay-runtime";

graphql`
  fragment operations_job on Job {
    id
    version
    status
    progress
    message
    result
    steps {
      name
      status
    }
  }
`;

graphql`
  mutation operationsSubmitMutation($input: SubmitJobInput!) {
    submitJob(input: $input) {
      ...operations_job @relay(mask: false)
    }
  }
`;

graphql`
  mutation operationsAnswerMutation($id: ID!, $output: AWSJSON!) {
    resumeJob(id: $id, step: "RequestApproval", output: $output) {
      ...operations_job @relay(mask: false)
    }
  }
`;

graphql`
  subscription operationsWatchSubscription($id: ID!) {
    onJob(id: $id) {
      ...operations_job @relay(mask: false)
    }
  }
`;

graphql`
  query operationsListQuery($filter: JobFilter) {
    listJobs(filter: $filter) {
      items {
        ...operations_job @relay(mask: false)
      }
    }
  }
`;
